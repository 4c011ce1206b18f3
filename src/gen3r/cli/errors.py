"""Which exceptions are the user's to mend, and how they are told."""

import sys
from collections.abc import Callable

from gen3r.mistakes import raised_by_this_package

USAGE = 2
INTERRUPTED = 130
LESS_MEMORY = "Name a smaller memory profile (--vram 8), or lower --frames or --size; in training, the batch."


def report_user_errors(work: Callable[[], None]) -> int:
    """Run ``work`` and return the exit code: 0, ``USAGE`` for a user's mistake, ``INTERRUPTED`` for Ctrl-C.

    A mistake is a ``ValueError`` from a ``raise`` statement of this package, whose messages say what was expected, what
    came and what to do, or a ``PermissionError`` of the operating system: it becomes one line on stderr. A
    ``ValueError`` from anything this package calls, Python or C, is a defect and passes through with its traceback.
    A device out of memory is told in one line, too, with what takes less of it.
    """
    try:
        work()
    except PermissionError as error:
        sys.stderr.write(f"gen3r: error: no permission for {error.filename}; get access to it or name another place.\n")
        return USAGE
    except ValueError as error:
        if not raised_by_this_package(error):
            raise
        sys.stderr.write(f"gen3r: error: {' '.join(str(error).split())}\n")
        return USAGE
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        sys.stderr.write(f"gen3r: error: out of device memory: {reason} {LESS_MEMORY}\n")
        return USAGE
    except KeyboardInterrupt:
        sys.stderr.write("gen3r: interrupted; nothing more was written.\n")
        return INTERRUPTED
    return 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is PyTorch's report of a full device. Nothing is imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)
