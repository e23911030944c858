"""Sizes of runs: three sizes of images, for a CPU and for a GPU.

`--config=configs/single_id.py:full` names a size, `:full_gpu` the device too.
"""

from typing import NamedTuple


class Preset(NamedTuple):
    """Values of the fields of `base_config` that presets set; by default a draft's.

    Attributes:
      size: longest side of the training images, pixels.
      frames, rays: of a step, B and R.
      levels, finest, log2_entries: of the canonical grid.
      samples: S.
      steps: of the run.
      coarse, coarse_size: share of the steps on small images, and their size.
      perceptual, patch: share of the steps on patches, and their side.
      distortion: weight of the loss that thins surfaces.
    """

    size: int = 64
    frames: int = 4
    rays: int = 96
    levels: int = 8
    finest: int = 256
    log2_entries: int = 15
    samples: int = 12
    steps: int = 1_500
    coarse: float = 0.0
    coarse_size: int = 64
    perceptual: float = 0.0
    patch: int = 32
    distortion: float = 0.0


_DRAFT = Preset()
_STANDARD = _DRAFT._replace(
    size=256,
    rays=400,
    levels=9,
    finest=512,
    log2_entries=16,
    steps=4_800,
    coarse=0.3,
    perceptual=0.4,
    patch=40,
    distortion=1e-3,
)
_FULL = _STANDARD._replace(
    size=512,
    rays=1024,
    levels=10,
    finest=1024,
    log2_entries=17,
    steps=7_500,
    coarse_size=128,
    patch=64,
)
_ON_GPU = {"frames": 8, "samples": 16}
PRESETS = {
    "draft_cpu": _DRAFT,
    "standard_cpu": _STANDARD,
    "full_cpu": _FULL,
    "draft_gpu": _DRAFT._replace(rays=512, steps=5_000, **_ON_GPU),
    "standard_gpu": _STANDARD._replace(
        rays=1024, steps=10_000, perceptual=0.2, patch=64, **_ON_GPU
    ),
    "full_gpu": _FULL._replace(
        rays=2048, levels=12, steps=20_000, coarse=0.1, perceptual=0.2, **_ON_GPU
    ),
}
_DEFAULTS = {"cpu": "standard", "gpu": "full"}


def resolve(name: str) -> tuple[str, str]:
    """The whole name of a preset, such as "full_cpu", and its device, cpu or gpu.

    Args:
      name: a key of `PRESETS`, one without its device, which is then the one that JAX
        finds, or "" for the default of that device.

    Raises:
      ValueError: there is no such preset.
    """
    size, _, device = name.partition("_")
    if not device:
        device = _device()
    whole = f"{size or _DEFAULTS[device]}_{device}"
    if whole not in PRESETS:
        raise ValueError(
            f"preset {name!r} is none of draft, standard and full, each with _cpu or "
            "_gpu after it or as it is"
        )
    return whole, device


def _device() -> str:
    import jax  # starts the devices, which a named one does without

    return "cpu" if jax.default_backend() == "cpu" else "gpu"
