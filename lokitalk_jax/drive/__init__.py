"""Driving a portrait: where its lips, eyes and head get their motion from."""

__all__ = ["Portrait", "Sources"]


def __getattr__(name: str):
    # Not imported here, as the model hears by way of this package and a portrait that
    # talks holds a model.
    if name in __all__:
        from lokitalk_jax.drive import talking

        return getattr(talking, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
