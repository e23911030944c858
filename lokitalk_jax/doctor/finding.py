"""What the doctor found."""

from collections.abc import Sequence
from typing import NamedTuple

# An error spoils training or stops it; a warning costs quality; a note is good to know.
ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)


class Finding(NamedTuple):
    """One finding.

    Attributes:
      severity: one of `SEVERITIES`.
      check: a short name that stays the same, for programs.
      where: the file or files.
      seen: what is there.
      remedy: what to do.
    """

    severity: str
    check: str
    where: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.seen}; {self.remedy}"


def listed(numbers: Sequence[int], most: int = 3) -> str:
    """Some numbers in words, such as "4, 5, 6 and 12 more"."""
    shown = ", ".join(str(number) for number in numbers[:most])
    rest = len(numbers) - most
    return f"{shown} and {rest} more" if rest > 0 else shown
