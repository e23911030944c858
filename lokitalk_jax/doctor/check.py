"""Checks a data folder, ours or another program's."""

import json
import os
import pathlib
from collections.abc import Iterator, Sequence

from lokitalk_jax.data import layout, peer_layout
from lokitalk_jax.doctor import identity, peer
from lokitalk_jax.doctor.finding import ERROR, SEVERITIES, Finding
from lokitalk_jax.progress import Progress

_OURS = (layout.META, layout.WORKSPACE, layout.TRACKS)


def examine(path: str | os.PathLike, progress: Progress | None = None) -> list[Finding]:
    """Runs all checks of a folder.

    Args:
      path: an identity folder, or a folder of ER-NeRF, SyncTalk or TalkingGaussian.
      progress: called for every frame.

    Returns:
      The findings, most severe first.
    """
    path = pathlib.Path(path)
    found: list[Finding] = []
    try:
        for finding in _examine(path, progress):
            found.append(finding)
    except Exception as error:  # a fault that no check expects is a finding too
        seen = f"a check failed: {type(error).__name__}: {error}"
        remedy = "report it together with the folder; the remaining checks did not run"
        found.append(Finding(ERROR, "internal", str(path), seen, remedy))
    return sorted(found, key=lambda one: SEVERITIES.index(one.severity))


def _examine(path: pathlib.Path, progress: Progress | None) -> Iterator[Finding]:
    if not path.is_dir():
        seen, remedy = "there is no such folder", "give another folder"
        yield Finding(ERROR, "no_folder", str(path), seen, remedy)
    elif peer_layout.is_peer(path):
        yield from peer.examine(path, progress)
    elif any((path / name).exists() for name in _OURS):
        yield from identity.examine(path, progress)
    else:
        seen = f"it holds neither {layout.META} nor {peer_layout.TRANSFORMS[0]}"
        remedy = "prepare a video into a new folder"
        yield Finding(ERROR, "unknown_layout", str(path), seen, remedy)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether one of the findings is an error."""
    return any(one.severity == ERROR for one in findings)


def as_text(path: str | os.PathLike, findings: Sequence[Finding]) -> str:
    """A line for each finding, and a summary."""
    counts = {s: sum(one.severity == s for one in findings) for s in SEVERITIES}
    summary = ", ".join(f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items() if n)
    return "\n".join([*map(str, findings), f"{path}: {summary or 'no findings'}"])


def as_json(path: str | os.PathLike, findings: Sequence[Finding]) -> str:
    """The findings for programs: folder, ok, findings."""
    result = {
        "folder": str(path),
        "ok": not failed(findings),
        "findings": [one._asdict() for one in findings],
    }
    return json.dumps(result, indent=2)
