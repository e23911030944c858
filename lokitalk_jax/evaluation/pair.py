"""Scores a video of any program against the true one."""

import contextlib
import os
import pathlib
import re
from typing import NamedTuple

import numpy as np

from lokitalk_jax.data import references
from lokitalk_jax.evaluation import (
    face_pairs,
    framing,
    pair_inputs,
    pair_masks,
    results,
)
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.comparison import Comparison
from lokitalk_jax.evaluation.contrib import syncnet, syncnet_network
from lokitalk_jax.evaluation.face_pairs import Detectors
from lokitalk_jax.evaluation.pair_inputs import Pair
from lokitalk_jax.evaluation.reachable import PICTURES, Reachable
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.evaluation.results import Scores
from lokitalk_jax.media import recoding
from lokitalk_jax.preparation import face_model
from lokitalk_jax.progress import Progress, track

UNSTATED = "unstated"

_NAME = 120  # letters of the name of a video, as file systems limit them


class PairOptions(NamedTuple):
    """How a pair of videos is scored, and how the prediction was made.

    Attributes:
      protocol: full, peer or unstated, see `score.EvaluateOptions`; only written down.
      signals: the lips' driving signal: tracked, audio or unstated; only written down.
      labels: label images of the true frames: an identity folder, or a folder of
        labels or parsing maps. Without them head and torso have no scores.
      align: cuts both to the moments that both show and scales the prediction to the
        truth's size, and writes down how.
      recode: crf23 or the like codes both by H.264 first; None leaves them.
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
    align: bool = False
    recode: str | None = None


class Named(NamedTuple):
    """A pair with its place in the report.

    Attributes:
      clip: name of the clip.
      system: name of the program, or the driving signal.
      pair: the videos.
      rows: whether to score the reachable rows too, once for each truth.
    """

    clip: str
    system: str
    pair: Pair
    rows: bool = True


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
    pair = pair_inputs.match(
        pair_inputs.open_side(truth),
        pair_inputs.open_side(pred),
        options.any_lag,
        options.align,
    )
    named = Named(pred.stem, options.signals, pair)
    clip, rows = score(named, options, out, progress, detectors)
    stated = header([pair], options) | {
        "truth": str(truth),
        "prediction": str(pred),
        "late_frames": pair.late,
        "sound": clip.scores["sound"],
    }
    return results.write(out, stated, [clip], rows)


def header(pairs: list[Pair], options: PairOptions) -> dict:
    """Facts about all pairs, see `results.write`."""
    sizes = {_size(pair) for pair in pairs}
    codings = sorted({_coding(pair, options) for pair in pairs})
    return {
        "config_hash": None,
        "step": None,
        "size": sizes.pop() if len(sizes) == 1 else None,
        "protocol": options.protocol,
        "signals": options.signals,
        "tracking": UNSTATED,
        # Each clip also states its own.
        "coding": " or ".join(codings),
    }


def _size(pair: Pair) -> int:
    return max(pair.truth.survey.height, pair.truth.survey.width)


def _coding(pair: Pair, options: PairOptions) -> str:
    stored = "lossless" if pair.prediction.lossless else "coded as stored"
    return options.recode or stored


def score(
    named: Named,
    options: PairOptions,
    out: pathlib.Path,
    progress: Progress | None = None,
    detectors: Detectors | None = None,
) -> tuple[Clip, list[Clip]]:
    """Scores a pair.

    Args:
      named: the pair.
      options: how to score.
      out: folder for a video of both, made if missing.
      progress: called after each frame.
      detectors: see `evaluate_pair`.

    Returns:
      the clip, and its reachable rows, see `reachable`.

    Raises:
      ValueError: labels, weights or face model cannot be used.
    """
    pair = named.pair
    facts = {"coding": _coding(pair, options), "size": _size(pair)}
    weights = None
    if options.syncnet is not None:
        weights = syncnet_network.load(pathlib.Path(options.syncnet))
    if options.recode is not None:
        pair = pair_inputs.coded(pair, recoding.rate_factor(options.recode))
    count, height, width, _ = pair.truth.survey
    labels = pair_masks.label_files(options.labels, count, pair.cut)
    true_sound, sound = pair.truth.sound, pair.prediction.sound
    sound_of = "prediction" if sound is not None else "truth"
    sound = true_sound if sound is None else sound
    if weights and sound is None:
        paths = pair.truth.frames.path, pair.prediction.frames.path
        raise ValueError(
            f"syncnet={options.syncnet} needs sound, and neither {paths[0]} nor "
            f"{paths[1]} has any; leave it out"
        )
    name = named.clip if named.system == options.signals else "_".join(named[:2])
    name = re.sub(r"[\\/]", "_", name)[-_NAME:]  # programs may be named by their paths
    sources = pair.truth.frames, pair.prediction.frames
    with contextlib.ExitStack() as stack:
        both = detectors or stack.enter_context(_detectors(options))
        scores = ClipScores(both, options.vgg, sound, true_sound)
        rows = None
        if named.rows:
            chosen = references.spread(np.arange(count), PICTURES).tolist()
            more = detectors or stack.enter_context(_detectors(options))
            rows = Reachable(more, scores.scorer, chosen)
        out.mkdir(parents=True, exist_ok=True)
        shown = stack.enter_context(Comparison(out / f"{name}.mp4", (height, width)))
        frames = zip(*(source.frames() for source in sources), strict=True)
        frames = track(frames, progress, f"scoring {name}", count)
        for index, (true, rendered) in enumerate(frames):
            rendered = rendered / np.float32(255)
            masks = pair_masks.region_masks(labels[index], height, width)
            row = scores.add(index, true, rendered, masks)
            if rows is not None:
                rows.add(index, true, scores.masks)
            shown.add(index, true / np.float32(255), rendered, row["frame.psnr"])
        faces = scores.faces.truth, scores.faces.prediction
        reachable = []
        if rows is not None:
            of = scores.frames, faces[0], scores.events()
            reachable = rows.clips(named.clip, *of)
    if weights and sound is not None:
        for key, source, landmarks in zip(
            ("syncnet_truth", "syncnet"), sources, faces, strict=True
        ):
            found = syncnet.score(weights, source.frames(), landmarks, sound)
            scores.more[key] = found
    scores.more["same_framing"] = framing.same(*faces)
    scores.more |= facts
    scores.more["late_frames"] = pair.late
    scores.more["aligned"] = pair.aligned or None
    scores.more["sound"] = None if sound is None else sound_of
    clip = results.clip(named.clip, named.system, scores)
    clip = clip._replace(extremes=shown.extremes, video=shown.path)
    if not scores.more["same_framing"]:
        clip = framing.without_pixels(clip)
    return clip, reachable


def default_folder(pred: pathlib.Path, options: PairOptions) -> pathlib.Path:
    """Folder next to a prediction; it differs from that of another protocol."""
    stated = [x for x in (options.protocol, options.signals) if x != UNSTATED]
    return pred.with_name("_".join([pred.stem, "scores", *stated]))


def _detectors(options: PairOptions):
    path = options.face_model
    if path is not None and not pathlib.Path(path).is_file():
        raise ValueError(
            f"face_model={path} does not exist; leave it out to search for "
            f"{face_model.NAME}"
        )
    return face_pairs.open_detectors(options.face_model)
