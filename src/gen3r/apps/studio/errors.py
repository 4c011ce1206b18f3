"""What can be wrong with what a client asks of the studio."""

from __future__ import annotations


class StudioError(ValueError):
    """Something that the client, not the studio, can mend. ``hint`` says how."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(f"{problem}; {hint}" if hint else problem)
        self.problem = problem
        self.hint = hint


class InvalidRequest(StudioError):
    """Values that do not fit."""


class UnknownSession(StudioError):
    """No such session, or it has been cleared away."""


class UnknownUpload(StudioError):
    """No such upload in this session."""


class UnknownJob(StudioError):
    """No such job in this session."""


class UnknownResult(StudioError):
    """The job has no result of this name."""


class NotFinished(StudioError):
    """The job is in no state for this."""


class TooLarge(StudioError):
    """More bytes, pixels, seconds or files than the limits allow."""


class WrongType(StudioError):
    """The content is no picture or video that is read here."""


class QueueFull(StudioError):
    """Too many jobs are waiting already; ``retry_after`` seconds later there may be room."""

    def __init__(self, problem: str, hint: str = "", *, retry_after: int = 5) -> None:
        super().__init__(problem, hint)
        self.retry_after = retry_after


class NoWorker(StudioError):
    """Nothing is there that could run a job; ``retry_after`` seconds later there may be."""

    def __init__(self, problem: str, hint: str = "", *, retry_after: int = 5) -> None:
        super().__init__(problem, hint)
        self.retry_after = retry_after


class NoSpace(StudioError):
    """The disk is almost full."""
