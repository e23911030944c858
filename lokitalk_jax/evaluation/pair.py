"""Scores a video of any program against the true one."""

import contextlib
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lokitalk_jax.data import label_images, layout, regions
from lokitalk_jax.evaluation import face_pairs, results
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.comparison import Comparison
from lokitalk_jax.evaluation.contrib import syncnet, syncnet_network
from lokitalk_jax.evaluation.face_pairs import Detectors
from lokitalk_jax.evaluation.results import Scores
from lokitalk_jax.media import frame_match, frame_source, media_file, sound_file
from lokitalk_jax.preparation import source_video
from lokitalk_jax.progress import Progress, track

UNSTATED = "unstated"
_WHOLE = 255  # a person mask that covers the frame


class PairOptions(NamedTuple):
    """How a pair of videos is scored, and how the prediction was made.

    Attributes:
      protocol: full, peer or unstated, see `score.EvaluateOptions`; only written down.
      signals: the lips' driving signal: tracked, audio or unstated; only written down.
      labels: label images of the true frames: an identity folder, or a folder of
        labels or parsing maps. Without them head and torso have no scores.
      any_lag: scores a prediction that is early or late instead of refusing it.
      vgg: adds LPIPS by VGG16, which is slow.
      syncnet: file of SyncNet's weights, for Sync-C and Sync-D; None leaves them out.
      face_model: a FaceLandmarker file; None searches for it.
    """

    protocol: str = UNSTATED
    signals: str = UNSTATED
    labels: str | os.PathLike | None = None
    any_lag: bool = False
    vgg: bool = False
    syncnet: str | os.PathLike | None = None
    face_model: str | os.PathLike | None = None


def evaluate_pair(
    truth: str | os.PathLike,
    pred: str | os.PathLike,
    out: str | os.PathLike | None = None,
    *,
    options: PairOptions = PairOptions(),  # noqa: B008 (a tuple)
    progress: Progress | None = None,
    detectors: Detectors | None = None,
) -> Scores:
    """Scores a video of any program against the true one; frames are streamed.

    Args:
      truth, pred: videos, folders of pictures, or identity folders; frame k of the
        prediction shows true frame k.
      out: folder of the results, by default one next to the prediction.
      options: how it is scored, and how the prediction was made.
      progress: see `lokitalk_jax.progress`.
      detectors: of faces in truth and prediction; None opens `face_pairs`' own.

    Returns:
      the scores; with SyncNet's weights the clip also has "syncnet" and
      "syncnet_truth", see `syncnet.score`.

    Raises:
      ValueError: the frames do not correspond, see `frame_match.check_pair`; labels,
        weights or face model cannot be used.
      OSError: the results could not be written.
    """
    truth, pred = pathlib.Path(truth), pathlib.Path(pred)
    out = pathlib.Path(out) if out is not None else default_folder(pred, options)
    weights = None
    if options.syncnet is not None:
        weights = syncnet_network.load(pathlib.Path(options.syncnet))
    sources = [frame_source.open_source(_frames(path)) for path in (truth, pred)]
    surveys = [frame_match.survey(source) for source in sources]
    true_side, side = zip(sources, surveys, strict=True)
    late = frame_match.check_pair(true_side, side, options.any_lag)
    count, height, width, _ = surveys[0]
    labels = _label_files(options.labels, count)
    true_sound, sound = _sound(truth), _sound(pred)
    sound_of = "prediction" if sound is not None else "truth"
    sound = true_sound if sound is None else sound
    if weights and sound is None:
        raise ValueError(f"neither {truth} nor {pred} has sound for SyncNet")
    with contextlib.ExitStack() as stack:
        detectors = detectors or stack.enter_context(
            face_pairs.open_detectors(options.face_model)
        )
        scores = ClipScores(detectors, options.vgg, sound, true_sound)
        out.mkdir(parents=True, exist_ok=True)
        shown = Comparison(out / f"{pred.stem}.mp4", (height, width))
        stack.enter_context(shown)
        frames = zip(*(source.frames() for source in sources), strict=True)
        frames = track(frames, progress, f"scoring {pred.stem}", count)
        for index, (true, rendered) in enumerate(frames):
            rendered = rendered / np.float32(255)
            masks = _region_masks(labels[index], height, width)
            row = scores.add(index, true, rendered, masks)
            shown.add(index, true / np.float32(255), rendered, row["frame.psnr"])
    if weights and sound is not None:
        faces = scores.faces.truth, scores.faces.prediction
        for key, source, landmarks in zip(
            ("syncnet_truth", "syncnet"), sources, faces, strict=True
        ):
            found = syncnet.score(weights, source.frames(), landmarks, sound)
            scores.more[key] = found
    header = {
        "config_hash": None,
        "step": None,
        "size": max(height, width),
        "protocol": options.protocol,
        "signals": options.signals,
        "truth": str(truth),
        "prediction": str(pred),
        "late_frames": late,
        "sound": None if sound is None else sound_of,
    }
    clip = results.clip(pred.stem, options.signals, scores)
    clip = clip._replace(extremes=shown.extremes, video=shown.path)
    return results.write(out, header, [clip])


def default_folder(pred: pathlib.Path, options: PairOptions) -> pathlib.Path:
    """Folder next to a prediction; it differs from that of another protocol."""
    stated = [x for x in (options.protocol, options.signals) if x != UNSTATED]
    return pred.with_name("_".join([pred.stem, "scores", *stated]))


def _frames(path: pathlib.Path) -> pathlib.Path:
    """The folder of frames of an identity folder; another path unchanged."""
    return path / layout.FRAMES if layout.is_identity(path) else path


def _sound(path: pathlib.Path) -> np.ndarray | None:
    """Sound of a video or identity folder, float [S], 16 kHz mono, or None."""
    if layout.is_identity(path):
        path = path / layout.SOUND
    if not path.is_file():
        return None
    with media_file.open_media(path) as container:
        pictures = media_file.picture_streams(container)
        if not container.streams.audio:
            return None
    # On the clock of the frames: a video may start later than its sound.
    zero = source_video.probe(path).origin if pictures else None
    return np.concatenate(list(sound_file.open_sound(path).read(zero)))


def _label_files(
    path: str | os.PathLike | None, count: int
) -> list[pathlib.Path] | list[None]:
    """The label image of each frame; None without labels."""
    if path is None:
        return [None] * count
    source = pathlib.Path(path)
    if layout.is_identity(source):
        source = source / layout.LABELS
    found = frame_source.open_source(source).pictures
    if found is None or len(found) != count:
        raise ValueError(
            f"{source} holds {len(found or ())} label images, the videos {count} "
            "frames; give one for each frame of the truth"
        )
    return list(found)


def _region_masks(
    path: pathlib.Path | None, height: int, width: int
) -> Callable[[np.ndarray], np.ndarray]:
    """Makes region masks from a face's landmarks, see `ClipScores.add`."""

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
        everywhere = np.full((height, width), _WHOLE, np.uint8)
        body = regions.soften(np.stack(shares, -1).astype(np.float32), everywhere) / 255
    return masks
