"""Looks of the identities, drawn from the seed of the cast."""

from typing import NamedTuple

import numpy as np

HAIR_STYLES = ("short", "fringe", "bob", "long", "bun")

# Colours, RGB of 255. Shirts come with a second colour.
_SKINS = np.array(
    [(245, 208, 180), (226, 178, 142), (196, 142, 104), (152, 101, 70), (108, 70, 50)]
)
_HAIRS = np.array(
    [(46, 34, 30), (92, 58, 36), (196, 148, 84), (150, 68, 34), (136, 132, 130)]
)
_IRISES = np.array([(84, 56, 36), (70, 110, 146), (78, 118, 78), (110, 92, 56)])
SHIRTS = np.array(
    [
        ((52, 92, 150), (226, 232, 238)),
        ((178, 58, 62), (244, 214, 170)),
        ((64, 128, 96), (214, 226, 160)),
        ((226, 176, 66), (120, 70, 40)),
        ((112, 84, 150), (230, 200, 236)),
        ((58, 62, 72), (236, 120, 84)),
        ((232, 226, 214), (70, 130, 160)),
    ]
)
_PATTERNS = ("stripes", "checks", "dots", "panel")


class Looks(NamedTuple):
    """The properties by which people differ.

    Head, jaw, face, nose, lips and shoulders are factors of the common shape; eye
    spacing and height, smile (rise of the mouth's corners) and hair volume metres;
    hair_side in [-1, 1]; freckles, beard and speckle (a pattern on skin and hair that
    shows their motion, as in motion capture) strengths, and colours RGB, in [0, 1].
    """

    head_size: float
    jaw_width: float
    face_length: float
    nose: float
    eye_spacing: float
    eye_height: float
    smile: float
    lip_fullness: float
    shoulder_width: float
    hair_style: str
    hair_volume: float
    hair_side: float
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    shirt: np.ndarray
    shirt_accent: np.ndarray
    shirt_pattern: str
    freckles: float
    beard: float
    texture_seed: int
    speckle: float


def draw_looks(seed: int, index: int, speckle: float = 0.0) -> Looks:
    """The looks of identity `index` of the cast `seed`.

    Neighbours in the cast differ in skin, hair and shirt.
    """
    cast = np.random.default_rng([seed, 101])
    rng = np.random.default_rng([seed, index, 7])

    def turn(options):
        order = cast.permutation(len(options))
        return options[order[index % len(options)]]

    skin, hair, iris = turn(_SKINS), turn(_HAIRS), turn(_IRISES)
    shirt, style, pattern = turn(SHIRTS), turn(HAIR_STYLES), turn(_PATTERNS)
    if skin.mean() < 140 and hair.mean() > 90:  # fair hair is rare on dark skin
        hair = _HAIRS[index % 2]
    jitter = 1 + 0.05 * rng.standard_normal((4, 3))
    bearded = style in ("short", "fringe") and rng.random() < 0.5
    return Looks(
        head_size=rng.uniform(0.95, 1.05),
        jaw_width=rng.uniform(0.88, 1.06),
        face_length=rng.uniform(0.96, 1.05),
        nose=rng.uniform(0.6, 1.5),
        eye_spacing=rng.uniform(0.061, 0.068),
        eye_height=rng.uniform(0.0105, 0.0125),
        smile=rng.uniform(0.002, 0.006),
        lip_fullness=rng.uniform(1.0, 1.3),
        shoulder_width=rng.uniform(0.88, 1.05),
        hair_style=str(style),
        hair_volume=rng.uniform(0.010, 0.018),
        hair_side=rng.uniform(-1, 1),
        skin=np.clip(skin / 255 * jitter[0, :1], 0, 1),
        hair=np.clip(hair / 255 * jitter[1, :1], 0, 1),
        iris=np.clip(iris / 255, 0, 1),
        shirt=np.clip(shirt[0] / 255 * jitter[2], 0, 1),
        shirt_accent=np.clip(shirt[1] / 255 * jitter[3], 0, 1),
        shirt_pattern=str(pattern),
        freckles=rng.choice([0.0, 0.6, 1.0]),
        beard=rng.uniform(0.35, 0.6) if bearded else 0.0,
        texture_seed=int(rng.integers(2**31)),
        speckle=speckle,
    )
