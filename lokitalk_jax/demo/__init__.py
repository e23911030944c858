"""The demo cast: procedural talking heads whose geometry and motion are known exactly.

They come as identity folders like any prepared video, so a new installation has
something to train on, and tests have an oracle.
"""

from lokitalk_jax.demo.cast import make_cast, make_truth
from lokitalk_jax.demo.motion import Motion, Performance
from lokitalk_jax.demo.truth import (
    Renderer,
    Surface,
    Truth,
    exact_offset,
    load_truth,
    nearest_material,
    observed_vertices,
    visible_surface,
)

__all__ = [
    "Motion",
    "Performance",
    "Renderer",
    "Surface",
    "Truth",
    "exact_offset",
    "load_truth",
    "make_cast",
    "make_truth",
    "nearest_material",
    "observed_vertices",
    "visible_surface",
]
