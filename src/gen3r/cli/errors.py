"""Which exceptions are the user's to mend, and how they are told."""

import sys
from collections.abc import Callable
from types import TracebackType

USER_EXCEPTIONS = (
    ValueError,
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
USAGE = 2
INTERRUPTED = 130


def report_user_errors(work: Callable[[], None]) -> int:
    """Run ``work`` and return the exit code: 0, ``USAGE`` for a user's mistake, ``INTERRUPTED`` for Ctrl-C.

    A mistake is one of ``USER_EXCEPTIONS`` raised by this package's own code, where messages say what was expected,
    what came and what to do: it becomes one line on stderr. The same types raised inside a library are defects here,
    and pass through with their traceback.
    """
    try:
        work()
    except USER_EXCEPTIONS as error:
        if not _raised_by_this_package(error.__traceback__):
            raise
        sys.stderr.write(f"gen3r: error: {one_line(error)}\n")
        return USAGE
    except KeyboardInterrupt:
        sys.stderr.write("gen3r: interrupted; nothing more was written.\n")
        return INTERRUPTED
    return 0


def one_line(error: BaseException) -> str:
    """The message of an exception with its line breaks folded; system errors get the path they are about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _raised_by_this_package(traceback: TracebackType | None) -> bool:
    module = ""
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        traceback = traceback.tb_next
    return module.split(".")[0] == "gen3r"
