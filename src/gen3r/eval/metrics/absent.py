"""A metric that cannot be computed on this machine: reported as such, never replaced."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Absent:
    """Why a metric has no value here."""

    what: str
    """The metric."""
    reason: str
    """What is missing."""
    remedy: str
    """A command that brings it."""

    def __str__(self) -> str:
        """One line for a report."""
        return f"{self.what} is absent: {self.reason}; run: {self.remedy}"
