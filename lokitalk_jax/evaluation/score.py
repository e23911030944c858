"""Scores the avatars of a run on the held-out frames of their clips.

<out>/metrics.json, frames.csv, report.html: see `results`
      <id>.mp4       truth, render and error side by side
      <id>.png       some frames with their maps
"""

import os
import pathlib
from collections.abc import Mapping, Sequence

from lokitalk_jax.avatar.run import OpenAvatar, OpenRun
from lokitalk_jax.data.dataset import Dataset
from lokitalk_jax.evaluation import (
    identity_scores,
    results,
    training_clip,
)
from lokitalk_jax.evaluation.identity_scores import EvaluateOptions
from lokitalk_jax.evaluation.results import Scores
from lokitalk_jax.media import recoding
from lokitalk_jax.progress import Progress

PROTOCOLS = ("full", "peer")
SIGNALS = ("tracked", "audio")
TRACKINGS = ("plain", "refined")


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
    parts += ["refined"] if options.tracking == "refined" else []
    parts += ["exact"] if options.exact else []
    parts += [options.recode] if options.recode else []
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
    scored = [
        identity_scores.score(
            run,
            avatar.exact() if options.exact else avatar,
            data,
            out,
            options,
            progress,
        )
        for avatar, data in avatars.values()
    ]
    header = {
        "config_hash": run.config_hash,
        "step": run.step,
        "size": run.config.data.size,
        "protocol": options.protocol,
        "signals": options.signals,
        "tracking": options.tracking,
        "coding": options.recode or "lossless",
    }
    clips, reachable = (
        [clip for part in side for clip in part] for side in zip(*scored, strict=True)
    )
    return results.write(out, header, clips, reachable)


def _check(options: EvaluateOptions) -> None:
    known_values = {
        "protocol": PROTOCOLS,
        "signals": SIGNALS,
        "tracking": TRACKINGS,
    }
    for field, known in known_values.items():
        if getattr(options, field) not in known:
            raise ValueError(
                f"{field}={getattr(options, field)} must be {' or '.join(known)}"
            )
    if options.tracking == "refined" and options.signals != "tracked":
        raise ValueError(
            "tracking=refined fits poses to the scored frames; it goes with "
            f"signals=tracked, not {options.signals}"
        )
    if options.max_frames is not None and options.max_frames < 1:
        raise ValueError(f"max_frames={options.max_frames} must be at least 1")
    if options.recode is not None:
        recoding.rate_factor(options.recode)
        if options.max_frames is not None:
            raise ValueError(
                f"recode={options.recode} codes neighbouring frames together, and "
                f"max_frames={options.max_frames} leaves some out; drop one of them"
            )
