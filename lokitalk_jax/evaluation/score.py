"""Scores the avatars of a run on the held-out frames of their clips.

<out>/metrics.json, frames.csv, report.html: see `results`
      <id>.mp4       truth, render and error side by side
      <id>.png       some frames with their maps
"""

import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import motion, panels
from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.data import references
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluation import (
    face_pairs,
    held_out,
    lip_baselines,
    results,
    training_clip,
)
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.comparison import Comparison
from lokitalk_jax.evaluation.metrics.aggregate import Row
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.evaluation.results import Scores
from lokitalk_jax.media import clip_sound, image_file, image_grid
from lokitalk_jax.model.rendering import Rendered
from lokitalk_jax.progress import Progress, track

PROTOCOLS = ("full", "peer")
SIGNALS = ("tracked", "audio")

_FRAMES_WITH_MAPS = 6


class EvaluateOptions(NamedTuple):
    """How a run is scored.

    Attributes:
      max_frames: scores this many held-out frames, evenly spaced; None scores all.
      signals: the lips' driving signal: tracked, or audio, predicted from the clip's
        sound and scored together with the baselines of `lip_baselines`.
      protocol: full, where everything is rendered, or peer, where the head is rendered
        over the true torso, as ER-NeRF scores.
      vgg: adds LPIPS by VGG16, which is slow.
      exact: renders as in training, not from baked fields.
    """

    max_frames: int | None = None
    signals: str = "tracked"
    protocol: str = "full"
    vgg: bool = False
    exact: bool = False


def evaluate(
    run: OpenRun,
    out: str | os.PathLike | None = None,
    identities: Sequence[str] | None = None,
    data: str | os.PathLike | None = None,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (a tuple)
    progress: Progress | None = None,
) -> Scores:
    """Scores identities of a run.

    Args:
      run: the run.
      out: folder for the results, made if missing; None takes `default_folder`.
      identities: names of identities; None scores all.
      data: folder of the identity folders, if they have moved since training.
      options: how to score.
      progress: called after each frame.

    Raises:
      ValueError: a clip is missing or has changed since training, no frame was held
        out, or an option has no such value.
      OSError: the results could not be written.
    """
    names = run.identities if identities is None else identities
    # Every clip is opened first, so that a missing one costs no rendering.
    clips = {name: training_clip.find(run, name, data) for name in names}
    avatars = {name: (run.avatar(name), clip) for name, clip in clips.items()}
    out = default_folder(run, options, identities) if out is None else out
    return evaluate_avatars(run, avatars, out, options, progress)


def default_folder(
    run: OpenRun, options: EvaluateOptions, identities: Sequence[str] | None = None
) -> pathlib.Path:
    """Folder of a run's results; it differs from that of other options."""
    parts = [options.protocol, options.signals]
    parts += [f"{options.max_frames}_frames"] if options.max_frames else []
    parts += ["exact"] if options.exact else []
    folder = run.workdir / "evaluation" / "_".join(parts)
    return folder / "_".join(identities) if identities else folder


def evaluate_avatars(
    run: OpenRun,
    avatars: Mapping[str, tuple[OpenAvatar, Dataset]],
    out: str | os.PathLike,
    options: EvaluateOptions = EvaluateOptions(),  # noqa: B008 (a tuple)
    progress: Progress | None = None,
) -> Scores:
    """Scores avatars against clips; see `evaluate`.

    Args:
      run: the run that the avatars belong to.
      avatars: by name, the avatar and the true clip.
      out: folder for the results, made if missing.
      options, progress: see `evaluate`.
    """
    _check(options)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    clips = [
        clip
        for avatar, data in avatars.values()
        for clip in _score_identity(
            run,
            avatar.exact() if options.exact else avatar,
            data,
            out,
            options,
            progress,
        )
    ]
    header = {
        "config_hash": run.config_hash,
        "step": run.step,
        "size": run.config.data.size,
        "protocol": options.protocol,
        "signals": options.signals,
    }
    return results.write(out, header, clips)


def score_tracked(
    avatar: OpenAvatar,
    data: Dataset,
    frames: held_out.Frames,
    see: Callable[[int, Rendered], None] = lambda index, maps: None,
    moved: motion.Motion | None = None,
) -> dict:
    """Scores frames of a clip and writes nothing.

    Args:
      avatar: the avatar.
      data: the true clip.
      frames: frame numbers.
      see: called with the number and the maps of each frame.
      moved: motion of these frames; None takes the tracked motion.

    Returns:
      see `ClipScores.result`.
    """
    with face_pairs.open_detectors() as detectors:
        scores = ClipScores(detectors)
        for index, maps, picture in held_out.rendered_frames(avatar, frames, moved):
            add_frame(scores, data, index, picture)
            see(index, maps)
        return scores.result()


def add_frame(
    scores: ClipScores, data: Dataset, index: int, prediction: np.ndarray
) -> Row:
    """Adds a prediction, float32 [H, W, 3] in [0, 1], of frame `index` of a clip."""
    truth = np.asarray(data.frames[index])
    return scores.add(index, truth, prediction, lambda _: data.region_masks(index))


def _check(options: EvaluateOptions) -> None:
    for field, known in ("protocol", PROTOCOLS), ("signals", SIGNALS):
        if getattr(options, field) not in known:
            raise ValueError(
                f"{field}={getattr(options, field)} must be {' or '.join(known)}"
            )
    if options.max_frames is not None and options.max_frames < 1:
        raise ValueError(f"max_frames={options.max_frames} must be at least 1")


def _score_identity(
    run: OpenRun,
    avatar: OpenAvatar,
    data: Dataset,
    out: pathlib.Path,
    options: EvaluateOptions,
    progress: Progress | None,
) -> list[Clip]:
    """Scores an identity with each of the driving signals to compare."""
    frames = avatar.record.test_frames
    if options.max_frames is not None:
        frames = references.spread(frames, options.max_frames)
    if options.signals == "tracked":
        driven = {"tracked": motion.tracked(avatar.record, frames)}
    else:
        # Sound features of other programs lie in the clip's folder, which may have
        # moved since training.
        record = avatar.record._replace(source=data.folder.path)
        driven = lip_baselines.motions(run, record, frames)
    true_torsos = data if options.protocol == "peer" else None
    clips = []
    for driven_by, moved in driven.items():
        rendered = held_out.rendered_frames(avatar, frames, moved, true_torsos)
        stage = f"scoring {data.name}, {driven_by}"
        rendered = track(rendered, progress, stage, len(frames))
        with face_pairs.open_detectors() as detectors:
            scores = ClipScores(detectors, options.vgg, _sound(data))
            if driven_by == options.signals:
                pictures = _score_with_pictures(
                    scores, avatar, data, frames, rendered, out
                )
            else:
                pictures = {}
                for index, _, prediction in rendered:
                    add_frame(scores, data, index, prediction)
            clip = results.clip(data.name, driven_by, scores)
            clips.append(clip._replace(**pictures))
    return clips


def _score_with_pictures(
    scores: ClipScores,
    avatar: OpenAvatar,
    data: Dataset,
    frames: np.ndarray,
    rendered: Iterable[tuple[int, Rendered, np.ndarray]],
    out: pathlib.Path,
) -> dict[str, Any]:
    """Adds frames to `scores`; writes a video, and a picture of some frames' maps.

    Returns:
      the pictures, as fields of `Clip`.
    """
    with_maps = set(references.spread(frames, _FRAMES_WITH_MAPS))
    maps_file, rows, labels = out / f"{data.name}.png", [], []
    with _comparison(out / f"{data.name}.mp4", data, frames) as comparison:
        for index, maps, prediction in rendered:
            row = add_frame(scores, data, index, prediction)
            truth = data.frame(index)[0]
            pictures = comparison.add(index, truth, prediction, row["frame.psnr"])
            if index in with_maps:
                pictures |= panels.maps(maps, avatar.depth_range)
                labels.append([f"frame {index}", *list(pictures)[1:]])
                rows.append([panels.enlarged(one) for one in pictures.values()])
    image_file.write(maps_file, image_grid.contact_sheet(rows, labels))
    return {
        "extremes": comparison.extremes,
        "video": comparison.path,
        "maps": maps_file,
    }


def _comparison(path: pathlib.Path, data: Dataset, frames: np.ndarray) -> Comparison:
    """A video with the clip's sound; if frames are left out, each is shown longer."""
    span = range(frames[0], frames[-1] + 1)
    fps = structs.FPS * len(frames) / len(span)
    sound = clip_sound.of_frames(data.folder.audio_path, span)
    return Comparison(path, data.camera.shape, fps, sound)


def _sound(data: Dataset) -> np.ndarray | None:
    """The sound of a clip, float32 [S] in [-1, 1], or None."""
    if data.folder.audio_path is None:
        return None
    return clip_sound.samples(data.folder.audio_path)
