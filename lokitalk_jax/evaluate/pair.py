"""Scores one video against another, whichever program made them."""

import pathlib
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from lokitalk_jax.avatar import panels
from lokitalk_jax.data import label_images, layout, regions
from lokitalk_jax.evaluate import results
from lokitalk_jax.evaluate.contrib import syncnet
from lokitalk_jax.evaluate.metrics.clip_scores import ClipScores
from lokitalk_jax.evaluate.metrics.frame_scores import FrameScorer
from lokitalk_jax.evaluate.metrics.landmarks import Detector, FacePairs
from lokitalk_jax.evaluate.report.gallery import Gallery
from lokitalk_jax.evaluate.report.page import Clip
from lokitalk_jax.media import frame_source, sound_file
from lokitalk_jax.media.video_io import VideoWriter

_WHOLE = 255  # the person mask where there is none


class Stated(NamedTuple):
    """What only the maker of a prediction knows.

    Attributes:
      protocol: full, peer or unstated.
      signals: tracked, audio or unstated.
    """

    protocol: str = "unstated"
    signals: str = "unstated"


def score_pair(
    truth: pathlib.Path,
    prediction: pathlib.Path,
    out: pathlib.Path,
    detectors: tuple[Detector, Detector],
    labels: pathlib.Path | None = None,
    stated: Stated = Stated(),  # noqa: B008 (a tuple)
    vgg: bool = False,
    any_lag: bool = False,
    syncnet_file: pathlib.Path | None = None,
) -> dict:
    """Scores a prediction; frames are streamed.

    Args:
      truth, prediction: videos, or folders of pictures; frame k belongs to frame k.
      out: folder for the results, made where missing.
      detectors: of faces in truth and prediction, see `FacePairs`.
      labels: folder of label images of the true frames; without it head and torso have
        no scores.
      stated: goes into the results as it is.
      vgg: LPIPS by VGG16 beside AlexNet.
      any_lag: scores a prediction that comes early or late all the same.
      syncnet_file: its weights, for Sync-C and Sync-D; None leaves them out.

    Returns:
      what metrics.json holds, see `results.write`; with SyncNet's weights "syncnet" and
      "syncnet_truth" beside the other scores, see `syncnet.score`.

    Raises:
      ValueError: the frames do not belong together, see `check_pair`, or labels do not
        fit.
      OSError: the results could not be written.
    """
    weights = syncnet.load(syncnet_file) if syncnet_file else None
    sources = [frame_source.open_source(_frames(path)) for path in (truth, prediction)]
    seen = [frame_source.survey(source) for source in sources]
    late = frame_source.check_pair(*zip(sources, seen, strict=True), any_lag)
    count, height, width, _ = seen[0]
    label_files = _label_files(labels, count) if labels else [None] * count
    out.mkdir(parents=True, exist_ok=True)
    name = pathlib.Path(prediction).stem
    path = out / f"{name}.mp4"
    true_sound, sound = _sound(truth), _sound(prediction)
    heard = "prediction" if sound is not None else "truth"
    # A prediction without sound is to say what the truth says.
    sound = true_sound if sound is None else sound
    if weights and sound is None:
        raise ValueError(f"neither {truth} nor {prediction} has sound for SyncNet")
    pairs, gallery = FacePairs(*detectors), Gallery()
    scores = ClipScores(FrameScorer(vgg), pairs, sound, true_sound)
    blank = np.zeros((height, width, 3), np.float32)
    size = panels.row(panels.comparison(blank, blank)).shape[1::-1]
    with VideoWriter(path, size=size) as writer:
        frames = zip(*(source.frames() for source in sources), strict=True)
        progress = tqdm(frames, "scoring", count, unit="frame")
        for index, (true, rendered) in enumerate(progress):
            rendered = rendered / np.float32(255)
            masks = _regions(label_files[index], height, width)
            row = scores.add(index, true, rendered, masks)
            compared = panels.row(panels.comparison(true / np.float32(255), rendered))
            writer.write(compared)
            gallery.add(row["frame.psnr"], index, compared)
    header = {
        "config_hash": None,
        "step": None,
        "size": max(height, width),
        "protocol": stated.protocol,
        "signals": stated.signals,
        "truth": str(truth),
        "prediction": str(prediction),
        "late_frames": late,
        "sound": None if sound is None else heard,
    }
    if weights:
        faces = {"syncnet_truth": pairs.truth, "syncnet": pairs.prediction}
        scores.more = {
            key: syncnet.score(weights, source.frames(), faces[key], sound)
            for key, source in zip(faces, sources, strict=True)
        }
    clip = Clip(name, stated.signals, scores, gallery, path)
    return results.write(out, header, [clip])


def _frames(path: pathlib.Path) -> pathlib.Path:
    """The folder of frames of an identity folder; another path as it is."""
    return path / layout.FRAMES if layout.is_identity(path) else path


def _sound(path: pathlib.Path) -> np.ndarray | None:
    """What is said in a video or identity folder, float [S], 16 kHz, or None."""
    if layout.is_identity(path):
        path = path / layout.SOUND
    if not path.is_file():
        return None
    try:
        return np.concatenate(list(sound_file.read(path)))
    except ValueError:  # a video without sound
        return None


def _label_files(path: pathlib.Path, count: int) -> tuple[pathlib.Path, ...]:
    source = path
    if layout.is_identity(path):
        source = path / layout.LABELS
    found = frame_source.open_source(source).pictures
    if found is None or len(found) != count:
        raise ValueError(
            f"{source} holds {len(found or ())} label images, the videos {count} "
            "frames; give one for each frame of the truth"
        )
    return found


def _regions(path: pathlib.Path | None, height: int, width: int):
    """A function from a face's landmarks to region masks, see `ClipScores.add`."""

    def masks(face: np.ndarray) -> np.ndarray:
        valid = np.isfinite(face).all()
        shapes = regions.fit_shapes(face[None], np.array([valid]))
        row, column = np.mgrid[:height, :width]
        pixels = np.stack([column, row], -1).reshape(-1, 2).astype(np.float32) + 0.5
        inner = regions.ellipses(shapes, np.array(0), pixels).reshape(height, width, 2)
        return np.concatenate([inner, body], -1).astype(np.float32)

    body = np.zeros((height, width, 2), np.float32)
    if path is not None:
        labels = label_images.read(path)
        if labels.shape != (height, width):
            raise ValueError(
                f"{path} is {labels.shape[1]}x{labels.shape[0]} pixels, the frames "
                f"{width}x{height}; scale labels without blending colours"
            )
        shares = [labels == layout.HEAD, labels == layout.TORSO]
        everyone = np.full((height, width), _WHOLE, np.uint8)
        body = regions.soften(np.stack(shares, -1).astype(np.float32), everyone) / 255
    return masks
