"""A finding of the doctor."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# An error stops training or spoils it; a warning costs quality; a note is information.
ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
_LISTED = 3  # items that a finding names

# The usual remedies.
PREPARE_AGAIN = "prepare the video again"
PEER_AGAIN = "run that program's preparation again"


class Finding(NamedTuple):
    """One finding.

    Attributes:
      severity: one of `SEVERITIES`.
      check: a short name that stays the same, for programs.
      where: the file or files.
      seen: the fault.
      remedy: the action to take.
    """

    severity: str
    check: str
    where: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.seen}; {self.remedy}"


def listed(items: Sequence | np.ndarray) -> str:
    """The first of items [M] and the number of the others: "4, 5, 6 and 12 more"."""
    shown = ", ".join(str(item) for item in items[:_LISTED])
    rest = len(items) - _LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown
