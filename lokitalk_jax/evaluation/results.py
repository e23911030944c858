"""The files that scoring writes.

<out>/metrics.json   videos, options, and the scores of every clip
      frames.csv     the scores of every frame
      report.html    both on one page, with pictures
"""

import json
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lokitalk_jax import files
from lokitalk_jax.evaluation.clip_scores import ClipScores
from lokitalk_jax.evaluation.report import frame_table, page
from lokitalk_jax.evaluation.report.clip import Clip

# Scores are comparable only if these agree, so every row of frames.csv repeats them.
_FACTS = ("protocol", "coding", "signals", "tracking", "size", "config_hash", "step")


class Scores(NamedTuple):
    """Results of an evaluation.

    Attributes:
      folder: holds report.html, metrics.json, frames.csv and a video of each identity.
      metrics: the content of metrics.json.
    """

    folder: pathlib.Path
    metrics: dict[str, Any]

    def summary(self) -> list[str]:
        """A line for each identity and driving signal, and how it was aligned."""
        return list(_lines(self.metrics))


def clip(identity: str, driven_by: str, scores: ClipScores) -> Clip:
    """A scored clip without pictures; see `Clip`."""
    return Clip(identity, driven_by, scores.result(), scores.frames, scores.rows())


def write(
    out: pathlib.Path,
    header: Mapping[str, object],
    clips: Sequence[Clip],
    reachable: Sequence[Clip] = (),
) -> Scores:
    """Writes the three files.

    Args:
      out: an existing folder.
      header: "config_hash", "step", "size", "protocol", "coding", "signals" and
        "tracking" of all clips.
      clips: the scored clips.
      reachable: scores of the truth itself, see `reachable`.

    Returns:
      with metrics {**header, "identities": {name: {driven_by: see
      `ClipScores.result`}}, "reachable": {name: {row: scores}}}.

    Raises:
      OSError: a file could not be written.
    """
    result: dict = {**header, "identities": {}, "reachable": {}}
    for key, scored in ("identities", clips), ("reachable", reachable):
        for one in scored:
            result[key].setdefault(one.identity, {})[one.driven_by] = one.scores
    # Both texts are made before any file is replaced.
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    html = page.render(header, clips, reachable)
    frame_table.write(out / "frames.csv", {k: header[k] for k in _FACTS}, clips)
    for name, content in ("report.html", html), ("metrics.json", text):
        with files.replacing(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return Scores(out, result)


def _lines(result: dict) -> Iterator[str]:
    for name, columns in result["identities"].items():
        for driven_by, found in columns.items():
            scores = {
                "PSNR": (found["frame"]["psnr"], 2),
                "LPIPS": (found["frame"]["lpips_alex"], 4),
                "LMD": (found["lmd_px"], 3),
            }
            parts = [f"{k} {x:.{n}f}" for k, (x, n) in scores.items() if x is not None]
            if not parts:
                parts.append("the face is elsewhere in the frame; see Motion")
            if found["missed_faces"]:
                parts.append(
                    f"no face in {found['missed_faces']} of {found['frames']} frames"
                )
            coding = found.get("coding", result["coding"])
            protocol = f"{result['protocol']}, {coding}"
            if result["tracking"] == "refined":
                protocol += ", refined tracking"
            size = found.get("size", result["size"])
            yield f"{name} ({protocol}, {driven_by}, {size} px): {', '.join(parts)}"
            if found.get("aligned"):
                yield f"  aligned: {found['aligned']}"
