"""What scoring leaves behind.

<out>/metrics.json   what was scored and how, and the scores of every clip
      frames.csv     the scores of every frame
      report.html    both as one page with pictures
"""

import json
import pathlib
from collections.abc import Sequence

from lokitalk_jax import files
from lokitalk_jax.evaluate.metrics import clip_table
from lokitalk_jax.evaluate.report import page

# Without these a table could be read as one of something else.
_FACTS = ("protocol", "signals", "size", "config_hash", "step")


def write(out: pathlib.Path, header: dict, clips: Sequence[page.Clip]) -> dict:
    """Writes the three files; nothing is written of a result that cannot be told.

    Args:
      out: a folder that is there.
      header: "config_hash", "step", "size", "protocol" and "signals" of all clips.
      clips: what was scored.

    Returns:
      what metrics.json holds: the header and {"identities": {name: {column: see
      `ClipScores.result`}}}.

    Raises:
      OSError: a file could not be written.
    """
    identities: dict = {}
    for clip in clips:
        identities.setdefault(clip.identity, {})[clip.column] = clip.scores.result()
    result = {**header, "identities": identities}
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    tables = {
        (clip.identity, clip.column): (clip.scores.frames, clip.scores.rows())
        for clip in clips
    }
    html = page.page(result, clips)
    facts = {key: result[key] for key in _FACTS}
    clip_table.write(out / "frames.csv", facts, tables)
    with files.replacing(out / "report.html") as temporary:
        temporary.write_text(html, encoding="utf-8")
    with files.replacing(out / "metrics.json") as temporary:
        temporary.write_text(text)
    return result


def summary(result: dict) -> list[str]:
    """A line for each clip of what `write` gave, with how many faces are missing."""
    lines = []
    for name, columns in result["identities"].items():
        for column, found in columns.items():
            scores = {
                "PSNR": (found["frame"]["psnr"], 2),
                "LPIPS": (found["frame"]["lpips_alex"], 4),
                "LMD": (found["lmd_px"], 3),
            }
            told = [f"{k} {x:.{n}f}" for k, (x, n) in scores.items() if x is not None]
            if found["missed_faces"]:
                told.append(
                    f"no face in {found['missed_faces']} of {found['frames']} frames"
                )
            mode = f"{result['protocol']}, {column}, {result['size']} px"
            lines.append(f"{name} ({mode}): {', '.join(told)}")
    return lines
