"""Broadcasting that names its axes.

The tests forbid JAX to add axes by itself, since that hides mistakes in shapes.
"""

from typing import Any

Array = Any  # numpy.ndarray or jax.Array


def trailing(values: Array, like: Array) -> Array:
    """Values of the last axes with as many axes as `like`, to combine with it.

    Args:
      values: of fewer axes than `like`, such as a vector [D].
      like: [B, ..., D], for example.
    """
    return values.reshape((1,) * (like.ndim - values.ndim) + values.shape)
