"""Identity folders of many videos: a line for each, and a table at the end."""

import argparse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tqdm import tqdm

from lokitalk_jax import progress
from lokitalk_jax.cli import terminal

if TYPE_CHECKING:
    from lokitalk_jax.api.prepare import Outcome, PrepareOptions

_COLUMNS = ("video", "seconds", "stretch", "reprojection", "background", "took")


def run(flags: argparse.Namespace, options: "PrepareOptions") -> int:
    """Prepares the videos of `flags`; returns 1 if one of them was refused."""
    from lokitalk_jax.api.prepare import prepare_all

    outcomes = _outcomes(prepare_all, flags, options, at_once=flags.at_once)
    print(table(outcomes))
    return int(any(one.refusal for one in outcomes))


def run_speech(flags: argparse.Namespace, options: "PrepareOptions") -> int:
    """Makes a speech corpus of the videos; returns 1 if one of them was refused."""
    from lokitalk_jax.api.prepare import prepare_speech

    outcomes = _outcomes(prepare_speech, flags, options)
    refused = sum(bool(one.refusal) for one in outcomes)
    print(
        f"{len(outcomes) - refused} recordings in {flags.out}, {refused} refused; "
        f"train a voice on them with --config.voice.corpus={flags.out}"
    )
    return int(bool(refused))


def _outcomes(
    prepare: "Callable[..., Iterator[Outcome]]",
    flags: argparse.Namespace,
    options: "PrepareOptions",
    **more: int,
) -> "list[Outcome]":
    """Outcomes of the videos of `flags`, each printed as soon as it is known."""
    videos, video = flags.video, flags.video[0]
    if len(videos) == 1 and (video.is_dir() or video.suffix == ".txt"):
        videos = video
    outcomes = []
    with progress.Bar() as bar:
        for one in prepare(
            videos,
            flags.out,
            options,
            model=flags.model,
            audio_offset=flags.audio_offset,
            progress=bar,
            **more,
        ):
            outcomes.append(one)
            tqdm.write(_line(one, flags))
    return outcomes


def _line(one: "Outcome", flags: argparse.Namespace) -> str:
    if one.refusal:
        reason = terminal.as_flags(one.refusal, flags.names)
        return f"{one.video.name}: refused: {reason}"
    return f"{one.video.name}: {one.out}"


def table(outcomes: "list[Outcome]") -> str:
    """The identities that were made and their figures, and how many were refused."""
    rows = [_COLUMNS]
    made = sorted(one for one in outcomes if not one.refusal)
    rows += [_row(one) for one in made]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    refused = len(outcomes) - len(made)
    minutes = sum(one.seconds for one in outcomes) / 60
    lines.append(f"{len(made)} prepared, {refused} refused, {minutes:.1f} min of work")
    return "\n".join(line.rstrip() for line in lines)


def _row(one: "Outcome") -> tuple[str, ...]:
    from lokitalk_jax.data.folder import IdentityFolder

    meta = IdentityFolder(one.out).meta
    start, end = meta.source.get("stretch", (0.0, meta.frame_count / meta.fps))
    return (
        one.video.name,
        f"{meta.frame_count / meta.fps:.2f}",
        f"{start:.2f} to {end:.2f}",
        f"{meta.quality['reprojection_px']:.2f} px",
        f"{meta.quality['plate_seen']:.0%}",
        f"{one.seconds:.0f} s",
    )
