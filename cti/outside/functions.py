"""Functions in Python that flows may call: the centre's list, a few worker threads, a deadline.

A function is named `module:function` in the centre file and marked with `@for_flows`, so that nothing of Python's own can be
called by a change of that file. It is given the values sent as a read-only mapping and gives back a mapping, or None for "no such
thing". It runs in a worker thread; one that does not end keeps its worker, of which there are few, and never the loop.
"""

from __future__ import annotations

import asyncio
import importlib
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import structlog

from cti.services.ports import Answered

log = structlog.get_logger(__name__)

Values: TypeAlias = Mapping[str, str | Decimal | bool]
FlowFunction: TypeAlias = Callable[[Values], Mapping[str, Any] | None]
F = TypeVar("F", bound=FlowFunction)

FAILED = Answered(status="failed")
NOT_FOUND = Answered(status="not_found")
_MARK = "__cti_for_flows__"


def for_flows(function: F) -> F:
    """Mark a function as one that flows may call."""
    setattr(function, _MARK, True)
    return function


class Functions:
    """Satisfies `services.ports.Functions`. `find` gives `module:function` by name, None when the centre has none."""

    def __init__(self, find: Callable[[str], str | None], *, workers: int = 4) -> None:
        self._find = find
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="flow-function")

    async def call(self, name: str, values: Values, *, deadline: float) -> Answered:
        """Call the function, and wait at most `deadline` seconds, for a free worker too. Never raises."""
        path = self._find(name)
        if path is None:
            log.warning("function_unknown", function=name)
            return FAILED
        running = asyncio.get_running_loop().run_in_executor(self._pool, _run, name, path, dict(values))
        done, _ = await asyncio.wait({running}, timeout=deadline)
        if not done:
            running.cancel()  # helps only if it has not begun
            log.error("function_overdue", function=name)
            return FAILED
        return running.result()

    def close(self) -> None:
        """Take no more calls."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _run(name: str, path: str, values: dict[str, str | Decimal | bool]) -> Answered:
    """In a worker. What a function raises is told by its type and place: the text may hold what a caller keyed in."""
    try:
        module, _, attribute = path.partition(":")
        function: Any = getattr(importlib.import_module(module), attribute)
        if not getattr(function, _MARK, False):
            log.error("function_not_marked", function=name, remedy="decorate it with cti.outside.functions.for_flows")
            return FAILED
        given = function(MappingProxyType(values))
    except BaseException as error:
        # SystemExit too: it must end neither this worker nor the bridge.
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]
        log.error("function_failed", function=name, error=type(error).__name__, where=where)
        return FAILED
    if given is None:
        return NOT_FOUND
    if not isinstance(given, Mapping):
        log.error("function_gave_no_mapping", function=name)
        return FAILED
    return Answered(status="ok", body=dict(given))
