"""Shapes at the borders of the model.

They are checked while JAX traces a program, so running it costs nothing more. A wrong
shape is an error of the caller: an AssertionError that names the array and its axes.
"""

from typing import Any

import chex

from lokitalk_jax.model.architecture import Model
from lokitalk_jax.structs import (
    EYE_REST,
    REGIONS,
    TORSO_LAGS,
    AvatarParams,
    Batch,
    Rays,
    Signals,
)


def assert_shapes(expected: dict[str, tuple[Any, tuple]]) -> None:
    """Checks arrays against shapes, by name; None and ... in a shape match anything.

    Raises:
      AssertionError: an array is missing or has another shape; names it.
    """
    for name, (array, shape) in expected.items():
        if array is None:
            raise AssertionError(f"{name} is None, expected an array of shape {shape}")
        chex.assert_shape(array, shape, custom_message=name)


def assert_params(model: Model, params: AvatarParams) -> None:
    """Checks the parameters that render an identity.

    Raises:
      AssertionError: see `assert_shapes`.
    """
    grid = {"params.density_grid": (params.density_grid, model.sampling.cells)}
    assert_shapes(grid)
    chex.assert_trees_all_equal_shapes(params.identity, params.shared["base"])


def assert_signals(model: Model, signals: Signals, frames: int) -> None:
    """Checks the driving signals of B `frames`.

    Raises:
      AssertionError: see `assert_shapes`.
    """
    widths = Signals(
        lip=model.lip_dim, eye=len(EYE_REST), head=6, torso=6 * len(TORSO_LAGS)
    )
    assert_shapes(
        {
            f"signals.{name}": (getattr(signals, name), (frames, width))
            for name, width in widths._asdict().items()
        }
    )


def assert_rays(rays: Rays, plate: Any) -> None:
    """Checks rays [B, R] and the plate behind them.

    Raises:
      AssertionError: see `assert_shapes`.
    """
    assert_shapes({"rays.directions": (rays.directions, (None, None, 3))})
    frames, count, _ = rays.directions.shape
    assert_shapes(
        {
            "rays.origins": (rays.origins, (frames, {1, count}, 3)),
            "plate": (plate, (frames, count, 3)),
        }
    )


def assert_batch(model: Model, batch: Batch, landmarks: bool) -> None:
    """Checks one identity's slice of a batch, leaves without N.

    Args:
      model: decides whether references and audio windows are needed.
      batch: the slice.
      landmarks: whether `face_points` are needed.

    Raises:
      AssertionError: see `assert_shapes`.
    """
    assert_shapes({"batch.pixels": (batch.pixels, (None, None, 2))})
    frames, rays, _ = batch.pixels.shape
    expected = {
        "rgb": (frames, rays, 3),
        "plate": (frames, rays, 3),
        "alpha": (frames, rays),
        "regions": (frames, rays, len(REGIONS)),
        "intrinsics": (3,),
        "head_to_camera": (frames, 4, 4),
    }
    if model.voice:
        expected["audio_windows"] = (frames, None, model.voice.inputs)
    if landmarks:
        expected["face_points"] = (frames, None, 3)
    assert_shapes(
        {f"batch.{k}": (getattr(batch, k), shape) for k, shape in expected.items()}
    )
    assert_signals(model, batch.signals, frames)
    if model.encoder:
        size = model.reference_size
        images, cameras = batch.references or (None, None)
        assert_shapes(
            {
                "batch.references.images": (images, (None, size, size, 4)),
                "batch.references.cameras": (cameras, (None, 8)),
            }
        )
