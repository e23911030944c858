"""Scores as tables of text, for the page to lay out."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lokitalk_jax import structs
from lokitalk_jax.evaluation.report import score_list
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.evaluation.report.score_list import Score


class Cell(NamedTuple):
    """A score and its interval as text; both may be empty."""

    value: str = ""
    interval: str = ""


class Row(NamedTuple):
    """A row: its name, facts about it, scores.

    `reference` marks figures of papers and scores of the truth itself.
    """

    name: str
    facts: Sequence[object]
    cells: Sequence[Cell]
    reference: bool = False


class Table(NamedTuple):
    """A table with the scores of its columns."""

    columns: Sequence[Score]
    rows: Sequence[Row]


def frame_table(header: Mapping[str, object], clips: Sequence[Clip]) -> Table:
    """Scores of the whole frame with protocol, size and frames, and published rows."""
    columns = _present(score_list.TABLES["frame"], clips)
    rows = [
        row._replace(facts=(*_facts(header, clip), len(clip.frames) or ""))
        for row, clip in zip(_rows(columns, clips), clips, strict=True)
    ]
    facts = "not published", score_list.PUBLISHED_SIZE, ""
    for name, known in score_list.PUBLISHED.items():
        cells = [
            Cell(f"{known[one.key]:.{one.digits}f}") if one.key in known else Cell()
            for one in columns
        ]
        rows.append(Row(name, facts, cells, reference=True))
    return Table(columns, rows)


def _facts(header: Mapping[str, object], clip: Clip) -> tuple[str, object]:
    """Protocol with coding, and size; a clip's own where clips differ."""
    coding = clip.scores.get("coding") or header["coding"]
    size = clip.scores.get("size") or header["size"]
    return f"{header['protocol']}, {coding}", size or ""


def clip_table(scores: Sequence[Score], clips: Sequence[Clip]) -> Table | None:
    """One row for each clip; None if no clip has any of the scores."""
    columns = _present(scores, clips)
    return Table(columns, _rows(columns, clips)) if columns else None


def reachable_table(clips: Sequence[Clip], truth: Sequence[Clip]) -> Table:
    """Scores of clips, and those of the truth itself, see `evaluation.reachable`."""
    columns = _present(score_list.REACHABLE, [*clips, *truth])
    rows = [
        row._replace(name=f"{one.identity}, truth {_words(one)}", reference=True)
        for row, one in zip(_rows(columns, truth), truth, strict=True)
    ]
    return Table(columns, [*_rows(columns, clips), *rows])


def region_table(clips: Sequence[Clip]) -> Table:
    """One row for each region that a clip has scores of; a region's rows together."""
    columns = score_list.TABLES["region"]
    rows = [
        Row(
            f"{region}: {clip_name(clip)}" if len(clips) > 1 else region,
            (),
            [_cell(clip, one, f"{region}.") for one in columns],
        )
        for region in structs.REGIONS
        for clip in clips
        if _at(clip.scores, f"{region}.psnr") is not None
    ]
    return Table(columns, rows)


def clip_name(clip: Clip) -> str:
    """Identity and driving signal."""
    if clip.driven_by == "unstated":
        return clip.identity
    return f"{clip.identity}, {_words(clip)}"


def _words(clip: Clip) -> str:
    return clip.driven_by.replace("_", " ")


def _present(scores: Sequence[Score], clips: Sequence[Clip]) -> list[Score]:
    """Scores that at least one clip has."""
    return [
        one
        for one in scores
        if any(_at(clip.scores, one.key) is not None for clip in clips)
    ]


def _rows(columns: Sequence[Score], clips: Sequence[Clip]) -> list[Row]:
    return [
        Row(clip_name(clip), (), [_cell(clip, one) for one in columns])
        for clip in clips
    ]


def _cell(clip: Clip, score: Score, prefix: str = "") -> Cell:
    key = prefix + score.key
    value, interval = _at(clip.scores, key), _at(clip.scores["intervals"], key)
    if value is None:
        return Cell()
    low_high = (
        ""
        if interval is None
        else ", ".join(f"{one:.{score.digits}f}" for one in interval)
    )
    return Cell(f"{value:.{score.digits}f}", low_high)


def _at(tree: Any, key: str) -> Any:
    """The value at a path of keys; None if there is none."""
    for name in key.split("."):
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree
