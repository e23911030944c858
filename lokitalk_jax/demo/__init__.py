"""The demo cast: procedural talking heads whose geometry and motion are known exactly.

They are written as identity folders like any prepared video, so a new installation has
data to train on, and tests have ground truth.
"""

from lokitalk_jax.demo.cast import make_cast, make_truth
from lokitalk_jax.demo.motion import MotionStyle, Performance
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
    "MotionStyle",
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
