"""Scores several programs' videos of the same clips on one page."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from lokitalk_jax.data import layout
from lokitalk_jax.evaluation import pair, pair_inputs, results
from lokitalk_jax.evaluation.face_pairs import Detectors
from lokitalk_jax.evaluation.pair import Named, PairOptions
from lokitalk_jax.evaluation.report import averages
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.evaluation.results import Scores
from lokitalk_jax.media import frame_source, frame_view
from lokitalk_jax.progress import Progress

_VIDEOS = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".m4v")


def evaluate_systems(
    truth: str | os.PathLike,
    systems: Mapping[str, str | os.PathLike],
    out: str | os.PathLike,
    *,
    options: PairOptions = PairOptions(),  # noqa: B008 (a tuple)
    progress: Progress | None = None,
    detectors: Detectors | None = None,
) -> Scores:
    """Scores the videos of several programs, paired with the true ones by name.

    Args:
      truth: a folder of clips (videos, folders of pictures, identity folders), or one
        clip.
      systems: by the program's name, its folder of predictions, or its one prediction.
        A prediction has the name of its true clip, whatever the suffix; one that is
        given by its own path for one clip given so may have any name.
      out: folder for the results, made if missing.
      options: how to score.
      progress: called after each frame.
      detectors: see `pair.evaluate_pair`.

    Returns:
      the scores; their metrics also have "means", the mean scores of each program.

    Raises:
      ValueError: a prediction has no truth, programs have predictions of other clips,
        or frames do not correspond.
      OSError: the results could not be written.
    """
    truth = pathlib.Path(truth)
    truths = clips_in(truth)
    found = {name: clips_in(pathlib.Path(path)) for name, path in systems.items()}
    if not found:
        raise ValueError("systems is empty; give pred=PATH of at least one program")
    alone = truth in truths.values() and all(
        pathlib.Path(systems[name]) in clips.values() for name, clips in found.items()
    )
    # A single prediction of a single clip may have any name.
    names = list(truths) if alone else _shared_names(truth, truths, found)
    pairs = []
    for name in names:
        true = pair_inputs.open_side(truths[name])
        for number, (system, clips) in enumerate(found.items()):
            path = next(iter(clips.values())) if alone else clips[name]
            side = pair_inputs.open_side(path)
            matched = pair_inputs.match(true, side, options.any_lag, options.align)
            pairs.append(Named(name, system, matched, rows=number == 0))
    stated = {"truth": str(truth), "systems": {k: str(v) for k, v in systems.items()}}
    stated["not_predicted"] = sorted(set(truths) - set(names))
    return _write(pairs, options, pathlib.Path(out), stated, progress, detectors)


def evaluate_panels(
    strips: str | os.PathLike,
    names: Sequence[str],
    out: str | os.PathLike,
    *,
    options: PairOptions = PairOptions(),  # noqa: B008 (a tuple)
    progress: Progress | None = None,
    detectors: Detectors | None = None,
) -> Scores:
    """Scores videos that show the truth and several programs' results in a row.

    Args:
      strips: such a video, or a folder of them.
      names: of the programs, in the order of their panels; the truth is the first
        panel and has no name.
      out, options, progress, detectors: see `evaluate_systems`.

    Returns:
      see `evaluate_systems`.

    Raises:
      ValueError: a strip cannot be cut, see `frame_view.panels`.
      OSError: the results could not be written.
    """
    strips = pathlib.Path(strips)
    pairs = []
    for clip, path in clips_in(strips).items():
        views = frame_view.panels(path, len(names) + 1)
        true, *sides = (pair_inputs.open_side(path, view) for view in views)
        for number, (system, side) in enumerate(zip(names, sides, strict=True)):
            matched = pair_inputs.match(true, side, options.any_lag, options.align)
            pairs.append(Named(clip, system, matched, rows=number == 0))
    stated = {"truth": str(strips), "systems": {name: str(strips) for name in names}}
    return _write(pairs, options, pathlib.Path(out), stated, progress, detectors)


def clips_in(path: pathlib.Path) -> dict[str, pathlib.Path]:
    """Clips of a folder by name; a video, folder of pictures or identity is one clip.

    Raises:
      ValueError: there is none.
    """
    if not path.exists():
        raise ValueError(f"no such file or folder: {path}")
    if path.is_file() or layout.is_identity(path) or frame_source.pictures(path):
        return {path.stem if path.is_file() else path.name: path}
    found = {}
    for one in sorted(path.iterdir()):
        folder = one.is_dir() and (
            layout.is_identity(one) or frame_source.pictures(one)
        )
        if folder or one.suffix.lower() in _VIDEOS:
            name = one.name if one.is_dir() else one.stem
            if name in found:
                raise ValueError(f"{path} holds two clips called {name}; rename one")
            found[name] = one
    if not found:
        raise ValueError(
            f"{path} holds no video, pictures or identity folder; give a folder of "
            "clips"
        )
    return found


def _shared_names(
    truth: pathlib.Path,
    truths: Mapping[str, pathlib.Path],
    found: Mapping[str, Mapping[str, pathlib.Path]],
) -> list[str]:
    """Names of the clips that all programs predicted."""
    first, *_ = found
    for system, clips in found.items():
        if unknown := sorted(set(clips) - set(truths)):
            raise ValueError(
                f"{system} predicts {', '.join(unknown)}, and {truth} holds no clip of "
                f"that name, only {', '.join(truths)}"
            )
        if other := sorted(set(clips) ^ set(found[first])):
            raise ValueError(
                f"{', '.join(other)}: predicted by {first} or {system} alone; means of "
                "different clips do not compare, so give all systems the same clips"
            )
    return sorted(found[first])


def _write(
    pairs: Sequence[Named],
    options: PairOptions,
    out: pathlib.Path,
    stated: Mapping[str, object],
    progress: Progress | None,
    detectors: Detectors | None,
) -> Scores:
    named = sorted({one.clip for one in pairs})
    if options.labels is not None and len(named) > 1:
        raise ValueError(
            f"labels={options.labels} are of one clip, and {', '.join(named)} are "
            "scored; score that clip alone, or leave labels out"
        )
    clips: list[Clip] = []
    reachable: list[Clip] = []
    for one in pairs:
        clip, rows = pair.score(one, options, out, progress, detectors)
        clips.append(clip)
        reachable += rows
    means = averages.by_driver(clips)
    stated = pair.header([one.pair for one in pairs], options) | dict(stated)
    stated["means"] = {mean.driven_by: mean.scores for mean in means}
    return results.write(out, stated, clips, reachable)
