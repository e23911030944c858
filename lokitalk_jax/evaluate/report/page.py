"""Scores as one self-contained page: no script, no other file, no network."""

import base64
import html
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from lokitalk_jax.evaluate.metrics.clip_scores import ClipScores
from lokitalk_jax.evaluate.report import curves, style
from lokitalk_jax.evaluate.report.gallery import Gallery

# Key, heading, decimals, and whether more or less is better; None for neither.
_SCORES = (
    ("frame.psnr", "PSNR, dB", 2, "more"),
    ("frame.ssim", "SSIM", 4, "more"),
    ("frame.ms_ssim", "MS-SSIM", 4, "more"),
    ("frame.lpips_alex", "LPIPS, AlexNet", 4, "less"),
    ("frame.lpips_vgg", "LPIPS, VGG", 4, "less"),
    ("frame.cpbd", "CPBD, render", 3, "more"),
    ("frame.cpbd_truth", "CPBD, truth", 3, None),
    ("lmd_px", "LMD, pixels", 3, "less"),
    ("lmd_fan_px", "LMD by FAN, pixels", 3, "less"),
    ("lmd_face", "LMD, face widths", 4, "less"),
    ("eye_ratio_error", "Eye ratio error", 4, "less"),
    ("blendshapes_upper", "Upper face blendshape error", 4, "less"),
    ("blendshapes_lower", "Lower face blendshape error", 4, "less"),
    ("jitter_px", "Jitter, render, pixels", 3, "less"),
    ("jitter_truth_px", "Jitter, truth, pixels", 3, None),
    ("shape_error", "Face shape error, face widths", 4, "less"),
    ("missed_faces", "Frames without a face", 0, "less"),
    ("sync.correlation", "Lips and sound, correlation", 3, "more"),
    ("sync.correlation_truth", "the truth's own", 3, None),
    ("sync.lag_ms", "Lag of the lips, ms", 0, None),
    ("sync.lag_ms_truth", "the truth's own", 0, None),
    ("syncnet.sync_c", "Sync-C", 3, "more"),
    ("syncnet.sync_d", "Sync-D", 3, "less"),
    ("syncnet_truth.sync_c", "Sync-C, truth", 3, None),
    ("syncnet_truth.sync_d", "Sync-D, truth", 3, None),
)
_REGIONS = ("lip", "eye", "head", "torso")
_CURVES = (
    ("frame.psnr", "PSNR, dB"),
    ("lip.psnr", "PSNR of the lips, dB"),
    ("frame.lpips_alex", "LPIPS, AlexNet"),
    ("lmd_px", "LMD, pixels"),
)

# Rows of the paper's table 1 (self-reconstruction); its frames are 512 pixels.
_PAPER = (
    (
        "LokiTalk, the paper",
        {"frame.psnr": 33.744, "frame.lpips_alex": 0.029, "lmd_px": 2.732},
    ),
    (
        "ER-NeRF, as the paper reports it",
        {"frame.psnr": 32.506, "frame.lpips_alex": 0.035, "lmd_px": 2.917},
    ),
)
_PROTOCOLS = {
    "full": "everything synthesised; nothing is taken from the true frame",
    "peer": "head rendered without its torso, over the frame's true torso (continued "
    "behind the head) and the still background, as ER-NeRF scores",
}


class Clip(NamedTuple):
    """A scored clip.

    Attributes:
      identity: whose it is.
      column: what drove it: tracked, audio, or what it is compared with.
      scores: of its frames.
      gallery: its worst and best frames; None shows none.
      video: truth and render side by side, an MP4 file; None shows none.
      sheet: frames with their maps, a picture; None shows none.
    """

    identity: str
    column: str
    scores: ClipScores
    gallery: Gallery | None = None
    video: pathlib.Path | None = None
    sheet: pathlib.Path | None = None


def page(result: dict, clips: Sequence[Clip]) -> str:
    """The page.

    Args:
      result: what metrics.json holds, see `results.write`.
      clips: what was scored, in the same order.

    Returns:
      a whole HTML document.
    """
    people = result["identities"]
    title = ", ".join(list(people)[:4]) + (" and others" if len(people) > 4 else "")
    parts = [
        f"<h1>Scores of {html.escape(title)}</h1>",
        _provenance(result),
        "<h2>Whole frame</h2>",
        _table(result),
        _note(result),
        "<h2>By region</h2>",
        _region_table(result),
    ]
    for name in people:
        mine = [clip for clip in clips if clip.identity == name]
        parts += [f"<h2>{html.escape(name)}</h2>", _drawings(mine), *map(_shown, mine)]
    body = "\n".join(parts)
    return style.PAGE.format(title=html.escape(title), style=style.STYLE, body=body)


def _provenance(result: dict) -> str:
    facts = {
        "protocol": result["protocol"],
        "signals": result["signals"],
        "size": f"{result['size']} pixels",
        "configuration": result["config_hash"],
        "step": result["step"],
        "late by": f"{result['late_frames']} frames"
        if result.get("late_frames")
        else None,
        "sound of": result.get("sound"),
    }
    shown = "".join(
        f"<dt>{key}</dt><dd>{html.escape(str(value))}</dd>"
        for key, value in facts.items()
        if value is not None
    )
    return f'<dl class="facts">{shown}</dl>'


def _note(result: dict) -> str:
    told = _PROTOCOLS.get(result["protocol"], "as stated by who made the prediction")
    return (
        f"<p>Protocol <b>{html.escape(result['protocol'])}</b>: {told}. Brackets hold "
        "95% intervals, bootstrapped from blocks of a second; a clip of no more than a "
        "second has none. The paper's rows are at "
        "512 pixels under a protocol that it does not publish; LPIPS and distances in "
        "pixels shrink with the frame, so rows of another size or protocol do not "
        "compare.</p>"
    )


def _rows(result: dict) -> list[tuple[str, dict]]:
    """Name and scores of every clip."""
    return [
        (name if column == "unstated" else f"{name}, {column}", found)
        for name, columns in result["identities"].items()
        for column, found in columns.items()
    ]


def _mode(protocol: str, size: object, frames: object) -> str:
    """The cells that say what a row is of, under `_MODE`."""
    return "".join(f"<td>{html.escape(str(x))}</td>" for x in (protocol, size, frames))


_MODE = "<th></th><th>protocol</th><th>pixels</th><th>frames</th>"


def _table(result: dict) -> str:
    """One row a clip, one column a score that any clip has."""
    rows = _rows(result)
    there = [one for one in _SCORES if any(_at(s, one[0]) is not None for _, s in rows)]
    head = "".join(
        f"<th>{title}{ {'more': ' &uarr;', 'less': ' &darr;', None: ''}[better] }</th>"
        for _, title, _, better in there
    )
    lines = [f"<tr>{_MODE}{head}</tr>"]
    for name, found in rows:
        mode = _mode(result["protocol"], result["size"], found["frames"])
        cells = "".join(_cell(found, key, digits) for key, _, digits, _ in there)
        lines.append(f"<tr><th>{html.escape(name)}</th>{mode}{cells}</tr>")
    for name, known in _PAPER:
        cells = "".join(
            f"<td>{known[key]:.{digits}f}</td>" if key in known else "<td></td>"
            for key, _, digits, _ in there
        )
        mode = _mode("not published", 512, "")
        lines.append(f'<tr class="paper"><th>{name}</th>{mode}{cells}</tr>')
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _region_table(result: dict) -> str:
    """One row a clip and region that it has scores of."""
    lines = [f"<tr>{_MODE}<th>PSNR, dB &uarr;</th><th>SSIM &uarr;</th>"]
    lines[0] += "<th>LPIPS, AlexNet &darr;</th></tr>"
    for name, found in _rows(result):
        mode = _mode(result["protocol"], result["size"], found["frames"])
        for region in _REGIONS:
            if _at(found, f"{region}.psnr") is None:
                continue
            cells = "".join(
                _cell(found, f"{region}.{key}", digits)
                for key, digits in (("psnr", 2), ("ssim", 4), ("lpips_alex", 4))
            )
            title = html.escape(f"{name}: {region}")
            lines.append(f"<tr><th>{title}</th>{mode}{cells}</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _cell(found: dict, key: str, digits: int) -> str:
    value, interval = _at(found, key), _at(found["intervals"], key)
    if value is None:
        return "<td></td>"
    shown = f"{value:.{digits}f}"
    if interval is not None:
        low, high = (f"{one:.{digits}f}" for one in interval)
        shown += f"<small>[{low}, {high}]</small>"
    return f"<td>{shown}</td>"


def _at(tree: dict, key: str):
    for name in key.split("."):
        if not isinstance(tree, dict) or name not in tree:
            return None
        tree = tree[name]
    return tree


def _drawings(clips: Sequence[Clip]) -> str:
    """Curves of one person's clips, which are of the same frames."""
    frames = clips[0].scores.frames
    tables = {clip.column: clip.scores.rows() for clip in clips}
    legend = "".join(
        f'<span style="color:{colour}">&#9632; {html.escape(column)}</span> '
        for colour, column in zip(curves.COLOURS, tables, strict=False)
    )
    parts = [f"<p>{legend}</p>"]
    for key, title in _CURVES:
        lines = {name: [row.get(key) for row in rows] for name, rows in tables.items()}
        drawn = curves.curves(frames, lines, title)
        if drawn:
            parts.append(f"<figure><figcaption>{title}</figcaption>{drawn}</figure>")
    return "".join(parts)


def _shown(clip: Clip) -> str:
    """Video, worst and best frames, and maps of a clip."""
    parts = []
    if clip.video:
        best = clip.gallery.best() if clip.gallery else []
        poster = f' poster="{_data_url("image/jpeg", best[0].jpeg)}"' if best else ""
        data = _data_url("video/mp4", clip.video.read_bytes())
        parts.append(
            "<figure><figcaption>Truth, render, error</figcaption>"
            f'<video controls loop muted preload="metadata"{poster} src="{data}">'
            "</video>"
            "</figure>"
        )
    if clip.gallery:
        for title, pictures in (
            ("Worst frames by PSNR", clip.gallery.worst()),
            ("Best frames by PSNR", clip.gallery.best()),
        ):
            shown = "".join(
                f'<figure><img alt="frame {p.frame}: truth, render, error" '
                f'src="{_data_url("image/jpeg", p.jpeg)}">'
                f"<figcaption>frame {p.frame}, {p.score:.2f} dB</figcaption></figure>"
                for p in pictures
            )
            parts.append(f'<h3>{title}</h3><div class="row">{shown}</div>')
    if clip.sheet:
        data = _data_url("image/png", clip.sheet.read_bytes())
        parts.append(
            "<h3>Maps</h3><figure>"
            f'<img alt="truth, render, error, depth, regions, offsets" src="{data}">'
            "</figure>"
        )
    return "".join(parts)


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
