"""Asterisk's event ledger beside the floor: what happened while no bridge watched, as facts.

The position read so far is kept in a small file and moves on only past calls the journal has closed; facts already known are
never inferred again, so a lost or old position costs a longer reading and nothing else.

Its lines carry the machine's time, the journal's facts ours, and the two differ after the machine's clock was set
(`cti.clock.SteadyClock`): what is read is put on our clock before it is compared with what is known.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import structlog

from cti.asterisk.cel import KnownCall, LedgerFile, infer_facts, known_calls, settled_position
from cti.asterisk.cel_lines import LedgerEvent
from cti.clock import Clock, SystemClock
from cti.ids import CallId
from cti.model import facts as f
from cti.places import Places
from cti.private_file import write_private
from cti.services.switchboard import Switchboard
from cti.settings import Settings

SETTLE_EVERY = 30.0
"""Seconds between moving the kept position on."""

MARK_EVERY = 1.0
"""Seconds between looks at how long the ledger is, and by how much our clock differs from the machine's."""
LATE = timedelta(seconds=2)
"""A line may be written so long after its moment."""
STEP = timedelta(seconds=0.1)
"""Clocks that differ by less do not differ: what keeps a machine's clock right does that all day."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    position: int
    """Bytes that the ledger had."""
    at: datetime
    """When that was, on our clock."""
    ahead: timedelta
    """By how much that was ahead of the machine's."""


class LedgerTimes:
    """Which lines were written when, by our clock: it is known how long the ledger was at which moment. What was written between
    two marks happened between them, whatever its stamp says."""

    def __init__(self) -> None:
        self._marks: list[_Mark] = []

    def mark(self, position: int, at: datetime, ahead: timedelta) -> None:
        """The ledger has so many bytes now."""
        new = _Mark(position=position, at=at, ahead=ahead if abs(ahead) >= STEP else timedelta())
        marks = self._marks
        if marks and position < marks[-1].position:
            marks.clear()  # the file was replaced
        if len(marks) > 1 and marks[-1].ahead == marks[-2].ahead == new.ahead:
            marks[-1] = new
        else:
            marks.append(new)

    def forget(self, position: int) -> None:
        """Nothing before this position is read any more."""
        del self._marks[: max(0, bisect_right(self._marks, position, key=_position) - 1)]

    def ours(self, events: Iterable[LedgerEvent]) -> list[LedgerEvent]:
        """The same lines with their moments on our clock. All of them are older than the last mark."""
        return [replace(event, at=at) if (at := self._ours(event)) != event.at else event for event in events]

    def _ours(self, event: LedgerEvent) -> datetime:
        marks = self._marks
        index = bisect_right(marks, event.offset, key=_position)
        if index == len(marks):
            return event.at
        until = marks[index]
        since = marks[index - 1] if index else None
        at = event.at + until.ahead
        if since is None:  # from before this process: the clock may have been set in that time
            return at if at <= until.at + LATE else event.at
        if since.ahead == until.ahead == timedelta():
            return event.at
        return min(max(at, since.at - LATE), until.at)


def _position(mark: _Mark) -> int:
    return mark.position


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A new file after so many bytes; so many old ones are kept."""

    most_bytes: int
    kept: int


def rotation_of(settings: Settings) -> Rotation | None:
    """How the ledger is rotated; None where it is not ours (`asterisk.ledger`): its owner does."""
    if settings.asterisk.ledger is not None:
        return None
    return Rotation(most_bytes=settings.logs.megabytes * 1024 * 1024, kept=settings.logs.kept)


class CelLedger:
    """Satisfies `cti.services.dispatcher.Ledger` with a CEL file. `ahead`: by how much `clock` is ahead of the machine's.

    `rotation`: how its file is kept short; None: not at all.
    """

    def __init__(
        self,
        file: LedgerFile,
        position_file: Path,
        *,
        clock: Clock | None = None,
        ahead: Callable[[], timedelta] = timedelta,
        rotation: Rotation | None = None,
    ) -> None:
        self._file = file
        self._rotation = rotation
        self._position_file = position_file
        self._clock = clock or SystemClock()
        self._ahead = ahead
        self._times = LedgerTimes()

    async def missed(self, board: Switchboard, *, asterisk_started_at: datetime | None = None) -> Sequence[f.Fact]:
        """Facts of calls that the ledger has and the floor has not. Raises OSError."""
        read = await asyncio.to_thread(self._file.read, self._position())
        self._mark(self._file.size())
        events = self._times.ours(read.events)
        facts = infer_facts(events, _known(board), asterisk_started_at=asterisk_started_at)
        if read.skipped:
            log.warning("ledger_lines_unreadable", count=read.skipped)
        return facts

    async def follow(self, board: Switchboard) -> None:
        """While the bridge watches: keep the position near the end, so that the next start reads little; and know when what was
        written."""
        settled = self._clock.monotonic()
        while True:
            await asyncio.sleep(MARK_EVERY)
            try:
                self._mark(self._file.size())
                if self._clock.monotonic() - settled < SETTLE_EVERY:
                    continue
                settled = self._clock.monotonic()
                read = await asyncio.to_thread(self._file.read, self._position())
                position = settled_position(read, _known(board))
                write_private(self._position_file, f"{position}\n".encode())
                self._times.forget(position)
                if self._rotation is not None:
                    await asyncio.to_thread(self._rotate, self._rotation, position)
            except OSError as error:
                log.warning("ledger_not_settled", error=str(error))

    def _rotate(self, rotation: Rotation, settled: int) -> None:
        """Begin a new file, and delete old ones nobody reads from any more."""
        if self._file.rotate(rotation.most_bytes):
            log.info("ledger_begun_anew", settled=settled, end=self._file.size())
        self._file.forget(settled, kept=rotation.kept)

    def _mark(self, position: int) -> None:
        self._times.mark(position, self._clock.now(), self._ahead())

    def _position(self) -> int:
        try:
            return int(self._position_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0


def _known(board: Switchboard) -> dict[CallId, KnownCall]:
    return known_calls(chain.from_iterable(board.history.values()), closed=board.closed)


def ledger_of(settings: Settings, places: Places, *, clock: Clock, ahead: Callable[[], timedelta]) -> CelLedger:
    """The ledger of this centre."""
    position = places.run / "cel.position"
    return CelLedger(LedgerFile(places.ledger), position, clock=clock, ahead=ahead, rotation=rotation_of(settings))
