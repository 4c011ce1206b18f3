"""Which errors are a user's mistake, and which are a defect of ours."""

from __future__ import annotations

import dis
from collections.abc import Iterable
from difflib import get_close_matches

RAISE = dis.opmap["RAISE_VARARGS"]


def raised_by_this_package(error: BaseException) -> bool:
    """Whether the exception comes from a ``raise`` statement in a module of gen3r, not from a function called there.

    Messages of such a ``ValueError`` say what was expected, what came and what to do; any other one is a defect.
    Exceptions of C functions have no frame of their own; what tells them apart is the instruction that their last
    Python frame was at.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or last.tb_frame.f_globals.get("__name__", "").split(".")[0] != "gen3r":
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] == RAISE


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " did you mean NAME?" for the known name that looks most like a word; empty if none does."""
    close = get_close_matches(word, list(known), n=1)
    return f" did you mean {close[0]}?" if close else ""
