"""What is run: items, the unit of work that takes them, and what becomes of each."""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from gen3r.mistakes import raised_by_this_package

logger = logging.getLogger(__name__)

TRACE_LINES = 20
"""Of a traceback, the last ones are kept."""

Unit = Callable[[dict[str, Any]], dict[str, Any]]
"""An open unit of work: takes the payload of an item, writes its output whole, returns what is to be recorded."""
Status = Literal["done", "failed"]


@dataclass(frozen=True, kw_only=True)
class JobItem:
    """One piece of work."""

    key: str
    """Its name, unique within a run and the same in every run."""
    payload: dict[str, Any] = field(default_factory=dict)
    """What the unit of work is called with; JSON-able."""

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> JobItem:
        """An item whose key is the payload's ``key``, or a hash of it all."""
        key = payload.get("key")
        return cls(key=key if isinstance(key, str) else content_hash(payload), payload=dict(payload))


@dataclass(frozen=True, kw_only=True)
class WorkSpec:
    """A unit of work by name, so that it can be opened in any process on any machine.

    The unit is a class at the top level of a module. Its constructor takes ``settings``, runs once per worker and may
    load models; its ``__call__`` takes the payload of an item, and returns a JSON-able dictionary. It must be
    idempotent and write its output under another name before renaming it: a worker may die at any moment, and the
    item is then given to another one.
    """

    unit: str
    """``module:Class``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """For the constructor; JSON-able."""
    gpus: float = 0.0
    """What a worker needs of a GPU; workers share one if it is less than 1."""

    @classmethod
    def of(cls, unit: type, settings: Mapping[str, Any], *, gpus: float = 0.0) -> WorkSpec:
        """The unit of work that a class is."""
        return cls(unit=f"{unit.__module__}:{unit.__qualname__}", settings=dict(settings), gpus=gpus)

    def open(self) -> Unit:
        """Import the class and call its constructor."""
        module, _, name = self.unit.partition(":")
        return getattr(importlib.import_module(module), name)(self.settings)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an item."""

    key: str
    """Of the item."""
    status: Status
    """"done", or "failed" for good."""
    attempts: int = 1
    """How often it was begun."""
    seconds: float = 0.0
    """The last attempt took so long."""
    worker: str = ""
    """Who did it."""
    result: dict[str, Any] = field(default_factory=dict)
    """What the unit of work returned."""
    reasons: tuple[str, ...] = ()
    """Why attempts failed, the last one last."""
    trace: str = ""
    """The end of the traceback of the last failure."""
    hopeless: bool = False
    """Another attempt would end the same way: the item itself is at fault."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Outcome:
        """Back from JSON; other fields are left out."""
        values: dict[str, Any] = {item.name: record[item.name] for item in fields(cls) if item.name in record}
        values["reasons"] = tuple(values.get("reasons", ()))
        return cls(**values)


@dataclass
class Task:
    """An item and what became of it so far."""

    item: JobItem
    reasons: tuple[str, ...] = ()

    def ends(self, outcome: Outcome, retries: int) -> Outcome | None:
        """The last outcome with all reasons; None if another attempt is due."""
        self.reasons += outcome.reasons
        failed = outcome.status == "failed"
        if failed and not outcome.hopeless and len(self.reasons) <= retries:
            return None
        return replace(outcome, reasons=self.reasons, attempts=len(self.reasons) + (not failed))


def attempt(unit: Unit, key: str, payload: dict[str, Any], worker: str) -> Outcome:
    """Do an item once. Whatever is wrong with it becomes the outcome."""
    started = time.perf_counter()
    try:
        result = unit(payload)
        json.dumps(result)
    except Exception as error:
        logger.debug("%s failed", key, exc_info=True)
        return Outcome(
            key=key,
            status="failed",
            seconds=time.perf_counter() - started,
            worker=worker,
            reasons=(reason_of(error),),
            trace="".join(traceback.format_exception(error)[-TRACE_LINES:]),
            hopeless=is_mistake(error),
        )
    return Outcome(key=key, status="done", seconds=time.perf_counter() - started, worker=worker, result=result)


def is_mistake(error: BaseException) -> bool:
    """Whether the input is at fault, not the moment or the machine."""
    return isinstance(error, ValueError) and raised_by_this_package(error) and not _lost_its_staging(error)


def _lost_its_staging(error: BaseException) -> bool:
    """Whether something half-written was cleared away under the work, by a process that took it for a leftover."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, FileNotFoundError) and ".partial" in str(cause.filename):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def reason_of(error: BaseException) -> str:
    """An exception in one line."""
    words = " ".join(str(error).split())
    return words if is_mistake(error) else f"{type(error).__name__}: {words}"


def content_hash(content: Any) -> str:
    """16 hexadecimal digits that are the same for equal JSON-able content."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
