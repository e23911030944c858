"""Scores one identity of a run, with reachable rows and pictures for the report."""

import contextlib
import pathlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from lokitalk_jax import structs
from lokitalk_jax.avatar import motion, panels
from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.data import references
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluation import face_pairs, held_out, lip_baselines, results
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.comparison import Comparison
from lokitalk_jax.evaluation.metrics.aggregate import Row
from lokitalk_jax.evaluation.reachable import PICTURES, Reachable
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.media import clip_sound, image_file, image_grid, recoding
from lokitalk_jax.progress import Progress, track

_FRAMES_WITH_MAPS = 6


class EvaluateOptions(NamedTuple):
    """How a run is scored.

    Attributes:
      max_frames: scores this many held-out frames, evenly spaced; None scores all.
      signals: the lips' driving signal: tracked, or audio, predicted from the clip's
        sound and scored together with the baselines of `lip_baselines`.
      protocol: full, where everything is rendered, or peer, where the head is rendered
        over the true torso, as ER-NeRF scores.
      tracking: plain, poses of head and torso as preparation tracked them, or refined,
        fitted to the scored frame against the avatar that is scored.
      vgg: adds LPIPS by VGG16, which is slow.
      exact: renders as in training, not from baked fields.
      recode: crf23 or the like codes truth and render by H.264 before they are scored;
        None scores them uncoded.
    """

    max_frames: int | None = None
    signals: str = "tracked"
    protocol: str = "full"
    tracking: str = "plain"
    vgg: bool = False
    exact: bool = False
    recode: str | None = None


class Scored(NamedTuple):
    """An identity's clips: with each driving signal, and the reachable rows.

    Attributes:
      clips: see `Clip`.
      reachable: see `reachable`.
    """

    clips: list[Clip]
    reachable: list[Clip]


def score(
    run: OpenRun,
    avatar: OpenAvatar,
    data: Dataset,
    out: pathlib.Path,
    options: EvaluateOptions,
    progress: Progress | None = None,
) -> Scored:
    """Scores an identity with each of the driving signals to compare.

    Args:
      run: the run.
      avatar: the identity.
      data: its true clip.
      out: an existing folder for a video and a picture of maps.
      options: how to score.
      progress: called after each frame.
    """
    frames = avatar.record.test_frames
    if options.max_frames is not None:
        frames = references.spread(frames, options.max_frames)
    registration = {}
    if options.signals == "tracked":
        moved = motion.tracked(avatar.record, frames)
        if options.tracking == "refined":
            moved, found = held_out.refined(avatar, frames, moved, data, progress)
            registration = {"registration": found}
        driven = {"tracked": moved}
    else:
        # Sound features of other programs lie in the clip's folder, which may have
        # moved since training.
        record = avatar.record._replace(source=data.folder.path)
        driven = lip_baselines.motions(run, record, frames)
    factor = None if options.recode is None else recoding.rate_factor(options.recode)
    true_torsos = data if options.protocol == "peer" else None
    scored = Scored([], [])
    for driven_by, moved in driven.items():
        rendered = held_out.rendered_frames(avatar, frames, moved, true_torsos)
        pairs = held_out.pairs(rendered, data, factor)
        stage = f"scoring {data.name}, {driven_by}"
        pairs = track(pairs, progress, stage, len(frames))
        with contextlib.ExitStack() as stack:
            detectors = stack.enter_context(face_pairs.open_detectors())
            scores = ClipScores(detectors, options.vgg, _sound(data))
            scores.more |= registration
            pictures = {}
            if driven_by == options.signals:
                more = stack.enter_context(face_pairs.open_detectors())
                chosen = references.spread(frames, PICTURES)
                rows = Reachable(more, scores.scorer, chosen.tolist())
                trained = avatar.record.train_frames
                pairs = _with_rows(pairs, scores, rows, data, trained)
                pictures = _score_with_pictures(
                    scores, avatar, data, frames, pairs, out
                )
                of = scores.frames, scores.faces.truth, scores.events()
                scored.reachable.extend(rows.clips(data.name, *of))
            else:
                for pair in pairs:
                    add_pair(scores, data, pair)
            clip = results.clip(data.name, driven_by, scores)
            scored.clips.append(clip._replace(**pictures))
    return scored


def add_pair(scores: ClipScores, data: Dataset, pair: held_out.Pair) -> Row:
    """Adds a pair of frames of a clip."""
    return scores.add(
        pair.index, pair.truth, pair.prediction, lambda _: data.region_masks(pair.index)
    )


def _with_rows(
    pairs: Iterable[held_out.Pair],
    scores: ClipScores,
    rows: Reachable,
    data: Dataset,
    trained: np.ndarray,
) -> Iterable[held_out.Pair]:
    """Passes pairs on; adds each to `rows` when it was added to `scores`.

    Args:
      pairs: of the clip.
      scores: of the clip.
      rows: of the clip.
      data: the clip.
      trained: frames that the run was trained on, which may be few of the clip's.
    """
    landmarks = data.tracks.landmarks
    known = landmarks[trained][..., :2]
    for pair in pairs:
        yield pair
        # The uncoded truth, whichever way the pair is scored.
        truth = np.asarray(data.frames[pair.index])
        nearest = None
        if len(known):
            apart = np.linalg.norm(known - landmarks[pair.index][..., :2], axis=-1)
            like = int(trained[np.nan_to_num(apart.mean(-1), nan=np.inf).argmin()])
            nearest = np.asarray(data.frames[like]), landmarks[like]
        rows.add(pair.index, truth, scores.masks, nearest)


def _score_with_pictures(
    scores: ClipScores,
    avatar: OpenAvatar,
    data: Dataset,
    frames: np.ndarray,
    pairs: Iterable[held_out.Pair],
    out: pathlib.Path,
) -> dict[str, Any]:
    """Adds frames to `scores`; writes a video, and a picture of some frames' maps.

    Returns:
      the pictures, as fields of `Clip`.
    """
    with_maps = set(references.spread(frames, _FRAMES_WITH_MAPS))
    maps_file, shown, labels = out / f"{data.name}.png", [], []
    with _comparison(out / f"{data.name}.mp4", data, frames) as comparison:
        for pair in pairs:
            row = add_pair(scores, data, pair)
            truth = pair.truth / np.float32(255)
            of = pair.index, truth, pair.prediction, row["frame.psnr"]
            pictures = comparison.add(*of)
            if pair.index in with_maps:
                pictures |= panels.maps(pair.maps, avatar.depth_range)
                labels.append([f"frame {pair.index}", *list(pictures)[1:]])
                shown.append([panels.enlarged(one) for one in pictures.values()])
    image_file.write(maps_file, image_grid.contact_sheet(shown, labels))
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
