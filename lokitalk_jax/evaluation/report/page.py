"""The report: one HTML page that needs no script, no other file and no network."""

import base64
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import jinja2
import markupsafe

from lokitalk_jax.evaluation.report import (
    averages,
    curves,
    score_list,
    tables,
)
from lokitalk_jax.evaluation.report.clip import Clip
from lokitalk_jax.evaluation.report.extremes import Picture
from lokitalk_jax.media import image_file

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("lokitalk_jax.evaluation.report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)

_PROTOCOLS = {
    "full": "everything is rendered; nothing is taken from the true frame",
    "peer": "the head is rendered without its torso, over the frame's true torso "
    "(continued behind the head) and the plate, as ER-NeRF scores",
}
_UNSTATED = "how the prediction was made is not stated (set protocol=full or peer)"
_CODINGS = {
    "lossless": "frames before any encoding",
    "coded as stored": "a prediction decoded from a video, against the truth as it is; "
    "encoding alone costs it up to 2 dB; recode=crf23 codes both alike",
}
_RECODED = "truth and prediction both coded by H.264 first"
_BASELINES = ("still_mouth", "shuffled_audio")
_WIDEST = 1600  # pixels of an embedded picture
_NAMED = 4  # identities in the title


class Shown(NamedTuple):
    """Pictures of a clip; None or empty for those that it does not have.

    Attributes:
      name: heading.
      video, poster, maps: URLs that hold the files; poster is the picture of a video
        that does not play.
      extremes: worst and best frames, by heading.
    """

    name: str
    video: str | None
    poster: str | None
    extremes: Mapping[str, Sequence[Picture]]
    maps: str | None


def render(
    header: Mapping[str, object],
    clips: Sequence[Clip],
    reachable: Sequence[Clip] = (),
) -> str:
    """Renders the page.

    Args:
      header: facts about all clips, see `results.write`.
      clips: the scored clips; those of an identity show the same frames.
      reachable: scores of the truth itself, see `evaluation.reachable`.

    Returns:
      a whole HTML document.
    """
    by_identity: dict[str, list[Clip]] = {}
    for clip in clips:
        by_identity.setdefault(clip.identity, []).append(clip)
    names = list(by_identity)
    rows, titled = clips, names
    if header.get("systems"):
        rows = [*averages.by_driver(clips), *clips]
        titled = list(dict.fromkeys(clip.driven_by for clip in clips))
    frame_scores = tables.frame_table(header, rows)
    clip_tables = {
        title: table
        for title, scores in (
            ("Motion", "motion"),
            ("Dynamics and sharpness", "dynamics"),
            ("Face", "face"),
            ("Lips and sound", "sync"),
        )
        if (table := tables.clip_table(score_list.TABLES[scores], rows)) is not None
    }
    explained = [*frame_scores.columns]
    for table in clip_tables.values():
        explained += table.columns
    return _TEMPLATES.get_template("report.html.j2").render(
        title=_listed(titled),
        facts=_facts(header, names),
        protocol=header["protocol"],
        protocol_meaning=_PROTOCOLS.get(str(header["protocol"]), _UNSTATED),
        codings={
            coding: _CODINGS.get(coding, _RECODED)
            for coding in str(header["coding"]).split(" or ")
        },
        frame_table=frame_scores,
        region_table=tables.region_table(clips),
        clip_tables=clip_tables,
        reachable=tables.reachable_table(rows, reachable) if reachable else None,
        notes=_notes(clips),
        row_meanings={
            name.replace("_", " "): meaning
            for name, meaning in score_list.REACHABLE_ROWS.items()
            if any(clip.driven_by == name for clip in reachable)
        },
        means=len(rows) > len(clips),
        identities={name: _identity(mine) for name, mine in by_identity.items()},
        baselines=any(clip.driven_by in _BASELINES for clip in clips),
        intervals=any(cell.interval for row in frame_scores.rows for cell in row.cells),
        explained=explained,
    )


def _listed(names: Sequence[str]) -> str:
    others = names[_NAMED:]
    more = (
        f" and {len(others)} others"
        if others[1:]
        else "".join(f", {x}" for x in others)
    )
    return ", ".join(names[:_NAMED]) + more


def _facts(header: Mapping[str, Any], clips: Sequence[str]) -> dict[str, object]:
    late = header.get("late_frames")
    facts = {
        "protocol": header["protocol"],
        "signals": header["signals"],
        "tracking": header["tracking"],
        "coding": header.get("coding"),
        "size": f"{header['size']} pixels" if header["size"] else None,
        "configuration": header["config_hash"],
        "step": header["step"],
        "clips": _listed(clips) if header.get("systems") else None,
        "late by": f"{late} frames" if late else None,
        "not predicted": ", ".join(header.get("not_predicted") or ()) or None,
        "sound of": header.get("sound"),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _notes(clips: Sequence[Clip]) -> list[str]:
    """Sentences on clips that were aligned, and on scores that are left out."""
    notes = []
    for clip in clips:
        name = tables.clip_name(clip)
        if clip.scores.get("aligned"):
            notes.append(f"{name}, aligned: {clip.scores['aligned']}.")
        if late := clip.scores.get("late_frames"):
            word = "late" if late > 0 else "early"
            notes.append(f"{name} is {abs(late)} frames {word}, and scored as it is.")
        if clip.scores.get("same_framing") is False:
            notes.append(
                f"{name} shows the face elsewhere in the frame than the truth: scores "
                "that compare pixels are left out."
            )
    return notes


def _identity(clips: Sequence[Clip]) -> dict[str, object]:
    """Curves and pictures of one identity's clips."""
    lines = {clip.driven_by.replace("_", " "): clip.rows for clip in clips}
    drawing = curves.draw(clips[0].frames, lines, score_list.CURVES)
    shown = [_shown(clip) for clip in clips if clip.extremes or clip.video or clip.maps]
    return {"curves": markupsafe.Markup(drawing), "clips": shown}


def _shown(clip: Clip) -> Shown:
    extremes, poster = {}, None
    if clip.extremes:
        best, worst = clip.extremes.best(), clip.extremes.worst()
        extremes = {"Worst frames by PSNR": worst, "Best frames by PSNR": best}
        poster = data_url("image/jpeg", best[0].jpeg) if best else None
    return Shown(
        name=tables.clip_name(clip),
        video=data_url("video/mp4", clip.video.read_bytes()) if clip.video else None,
        poster=poster,
        extremes=extremes,
        maps=data_url("image/jpeg", _as_jpeg(clip.maps)) if clip.maps else None,
    )


def _as_jpeg(path: pathlib.Path) -> bytes:
    """An image file as a JPEG of at most `_WIDEST` pixels."""
    image = image_file.read_rgb(path)[..., ::-1]
    scale = min(1, _WIDEST / image.shape[1])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def data_url(kind: str, data: bytes) -> str:
    """A file's content as a URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


_TEMPLATES.filters["data_url"] = lambda data: data_url("image/jpeg", data)
