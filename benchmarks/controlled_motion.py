"""Does each field learn the motion of its own region, and nothing else?

    python -m benchmarks.controlled_motion --workdir=runs/controlled_motion

LokiTalk's first experiment on an identity of known motion: a demo identity whose mouth,
eyes, head and torso move independently, the head in steps of pitch, yaw and roll to
+-20 degrees, with an error in its tracked pose and with hair that lags. A model is
trained on it as on any video, and its offsets are compared with the exact ones on
held-out frames (see `exact_motion`). Spots are painted on skin and hair, as plain skin
looks the same wherever it moves.
"""

import json
import logging
import pathlib

import cv2
import ml_collections
import numpy as np
from absl import app, flags
from absl import logging as absl_logging
from ml_collections import config_flags

from benchmarks import exact_motion
from configs import single_id
from lokitalk_jax import demo, files, process, structs
from lokitalk_jax.training import trainer

_LOG = logging.getLogger("lokitalk_jax.benchmarks")

MOTION = demo.MotionStyle(
    controlled=True, mouth=0.02, spread=0.1, pose_error=0.2, hair_lag=0.15
)
_SEED, _SECONDS, _SIZE = 5, 40.0, 256


def get_config() -> ml_collections.ConfigDict:
    """The config of one identity at CPU sizes, with what this experiment changes."""
    config = single_id.get_config("draft_cpu")
    config.data.size = _SIZE
    config.data.frames_per_step, config.data.rays_per_frame = 8, 96
    config.data.importance.update(background=0.3, lip=5.0, eye=8.0)
    config.grid.finest, config.grid.log2_entries = 512, 16
    # Seen from the head, a torso sweeps 15 cm as the head turns by 20 degrees. Samples
    # that gather where it has ever been let surfaces creep towards the camera.
    config.scene.low = (-0.36, -0.30, -0.11)
    config.sampling.uniform, config.sampling.decay = 0.5, 0.8
    config.sampling.samples = 20
    config.train.density_points = 2048
    # Points move by steps of a fraction of a pixel (1.6 mm), no further than pictures
    # ask, and neighbours alike: patches would find other spots.
    config.model.offset_scale = 0.05
    config.model.octaves = 6
    config.loss.magnitude = 0.05
    # The tracked poses of this head err, and its field makes up for that.
    config.loss.skull = 0.0
    config.loss.smoothness = 0.003
    config.loss.attention = 0.5
    config.loss.outside = 5.0
    # Pictures leave open which spot of a lip is which: landmarks say so. This mouth
    # opens and spreads; more coefficients hold nothing but the error of the pose.
    config.loss.landmarks, config.data.landmarks = 100.0, 192
    config.model.lip_dim = 2
    config.train.steps = 3_400
    config.train.preview_every = config.train.steps
    return config


def make_identity(root: str, motion: demo.MotionStyle, size: int) -> None:
    """Makes the painted identity of the experiment; `size` in pixels."""
    demo.make_cast(
        root,
        identities=1,
        seconds=_SECONDS,
        size=size,
        seed=_SEED,
        motion=motion,
        speckle=1.0,
    )


def figures(motions: list[exact_motion.MotionSamples]) -> dict[str, dict[str, float]]:
    """Scores by region, rounded for printing; see `exact_motion.Score`."""
    return {
        region: {name: round(float(x), 4) for name, x in values._asdict().items()}
        for region, values in exact_motion.score(motions).items()
    }


def picture(motion: exact_motion.MotionSamples, masks: np.ndarray) -> np.ndarray:
    """Exact and learned motion, on one scale, and the mask; a row for each region.

    Args:
      motion: of a frame.
      masks: [H, W, 4], of that frame.

    Returns:
      uint8 [4 * H, 3 * W, 3], BGR.
    """
    shape = masks.shape[:2]
    rows = []
    for i in range(len(structs.REGIONS)):
        maps = [
            np.bincount(
                motion.pixel,
                motion.weights * np.linalg.norm(vectors[:, i], axis=-1),
                masks[..., i].size,
            ).reshape(shape)
            for vectors in (motion.exact, motion.learned)
        ]
        top = np.quantile(maps[0][maps[0] > 1e-4], 0.98)
        shades = [255 * np.clip(lengths / top, 0, 1) for lengths in maps]
        row = [cv2.applyColorMap(np.uint8(s), cv2.COLORMAP_INFERNO) for s in shades]
        mask = np.uint8(255 * masks[..., i])
        rows.append(np.concatenate([*row, np.stack([mask] * 3, -1)], 1))
    return np.concatenate(rows)


def main(_) -> None:
    """Trains, measures, prints one line of JSON and draws."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    workdir = pathlib.Path(_WORKDIR.value)
    config = _CONFIG.value
    config.data.root = str(workdir / "cast")
    make_identity(config.data.root, MOTION, _SIZE)
    step = trainer.train(config, workdir / "run")
    subject = exact_motion.open_subject(workdir / "run")
    held_out = subject.data.test_frames[:: _STRIDE.value]
    motions = [exact_motion.measure(subject, frame) for frame in held_out]
    scores = figures(motions)
    for region, values in scores.items():
        _LOG.info("%s: %s", region, values)
    line = {"benchmark": "controlled_motion", "step": step, "frames": len(motions)}
    print(json.dumps(line | scores))

    most_open = int(np.argmax([np.abs(m.exact[:, 0]).sum() for m in motions]))
    image = picture(motions[most_open], subject.data.region_masks(held_out[most_open]))
    with files.replacing(workdir / "controlled_motion.png") as temporary:
        cv2.imwrite(str(temporary), image)
    _LOG.info("drawn: %s", workdir / "controlled_motion.png")


if __name__ == "__main__":
    _WORKDIR = flags.DEFINE_string(
        "workdir", "runs/controlled_motion", "Folder of the cast, the run, the picture."
    )
    _STRIDE = flags.DEFINE_integer("stride", 4, "Every n-th held-out frame counts.")
    _CONFIG = config_flags.DEFINE_config_dict("config", get_config())
    process.start()
    app.run(main)
