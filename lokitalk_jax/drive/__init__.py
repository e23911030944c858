"""Driving a portrait: where its lips, eyes and head get their motion from."""

from lokitalk_jax.drive.talking import Portrait, Sources

__all__ = ["Portrait", "Sources"]
