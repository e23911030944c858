"""Looks a folder over, whichever program made it."""

import json
import os
import pathlib
from collections.abc import Iterator, Sequence

from lokitalk_jax.data import layout
from lokitalk_jax.doctor import identity, peer
from lokitalk_jax.doctor.finding import ERROR, SEVERITIES, Finding
from lokitalk_jax.progress import Progress

_OURS = (layout.META, layout.WORKSPACE, layout.TRACKS)


def examine(path: str | os.PathLike, progress: Progress | None = None) -> list[Finding]:
    """Everything that is found, the gravest first.

    Args:
      path: an identity folder, or one of ER-NeRF, SyncTalk or TalkingGaussian.
      progress: hears of the frames.
    """
    path = pathlib.Path(path)
    found: list[Finding] = []
    try:
        for finding in _all(path, progress):
            found.append(finding)
    except Exception as error:  # what nobody thought of is a finding too
        seen = f"a check broke off: {type(error).__name__}: {error}"
        remedy = "report it with the folder; nothing after it was looked at"
        found.append(Finding(ERROR, "internal", str(path), seen, remedy))
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def _all(path: pathlib.Path, progress: Progress | None) -> Iterator[Finding]:
    if not path.is_dir():
        yield Finding(
            ERROR, "no_folder", str(path), "there is no such folder", "name another"
        )
    elif peer.is_one(path):
        yield from peer.examine(path, progress)
    elif any((path / name).exists() for name in _OURS):
        yield from identity.examine(path, progress)
    else:
        seen = f"neither {layout.META} nor transforms_train.json is there"
        remedy = "prepare a video into a new folder"
        yield Finding(ERROR, "unknown_layout", str(path), seen, remedy)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether there is an error among them."""
    return any(one.severity == ERROR for one in findings)


def as_text(path: pathlib.Path, findings: Sequence[Finding]) -> str:
    """For people: a line a finding, and a summary."""
    counts = {s: sum(one.severity == s for one in findings) for s in SEVERITIES}
    told = ", ".join(f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items() if n)
    return "\n".join(
        [*map(str, findings), f"{path}: {told or 'nothing to complain of'}"]
    )


def as_json(path: pathlib.Path, findings: Sequence[Finding]) -> str:
    """For programs."""
    result = {
        "folder": str(path),
        "ok": not failed(findings),
        "findings": [one._asdict() for one in findings],
    }
    return json.dumps(result, indent=2)
