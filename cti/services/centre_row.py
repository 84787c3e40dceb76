"""The centre's own row: today's totals, and the day's lines, which are told less often than the totals move."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cti.ids import QueueName
from cti.reports.metric import Grain
from cti.services.day_series import HALF_HOUR, LINES, Counts
from cti.services.floor import CentreRow
from cti.services.switchboard import Switchboard

LINES_EVERY = timedelta(seconds=5)
"""A line is told anew at most so often, so that a busy floor's every message does not carry the day."""


class CentreFigures:
    """The last row told, and whether there is another."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self.row: CentreRow | None = None
        self._lines: Mapping[str, tuple[float | None, ...]] = {}
        self._drawn: tuple[datetime, int, int] | None = None
        """The day, its version and the half hour that `_lines` are of."""
        self._drawn_at: datetime | None = None
        self._told: object = None
        self._behind = False

    def pending(self) -> bool:
        """Whether totals have moved since the last row, or lines since they were drawn."""
        return self._behind or self._told != self._sign()

    def change(self, now: datetime) -> CentreRow | None:
        """The row, when it differs from the last one."""
        board, tally = self._board, self._board.tally
        drawn = (tally.begins, tally.series.version, (now - tally.begins) // HALF_HOUR)
        due = self._drawn_at is None or now - self._drawn_at >= LINES_EVERY or now < self._drawn_at
        if self._drawn is None or (drawn != self._drawn and (due or drawn[0] != self._drawn[0])):
            self._lines, self._drawn, self._drawn_at = self._draw(now), drawn, now
        self._behind = drawn != self._drawn
        self._told, total = self._sign(), tally.total
        row = _row(tally.begins, total, len(board.calls), board.centre.targets)
        if self.row is not None and row == replace(self.row, series={}) and self.row.series is self._lines:
            return None
        self.row = replace(row, series=self._lines)
        return self.row

    def of(self, queues: Collection[QueueName], now: datetime) -> CentreRow:
        """The same of certain queues. Of which queue a complaint is nobody says when it is counted: there is no rate of them."""
        board = self._board
        total, slots = board.tally.by_queue.of(queues, now)
        live = sum(call.queue in queues for call in board.calls.values())
        row = _row(board.tally.begins, total, live, board.centre.targets)
        lines = {name: line for name, line in _lines(slots).items() if name != "complaint_rate"}
        return replace(row, complaint_rate=None, series=lines)

    def _sign(self) -> tuple[int, int, datetime]:
        tally = self._board.tally
        return tally.series.version, len(self._board.calls), tally.begins

    def _draw(self, now: datetime) -> Mapping[str, tuple[float | None, ...]]:
        return _lines(self._board.tally.series.until(now))


def _row(begins: datetime, total: Counts, live: int, targets: Mapping[str, float]) -> CentreRow:
    return CentreRow(
        day_start=begins,
        calls=total.count("inbound"),
        live=live,
        answered=total.count("answered"),
        abandoned=total.count("abandoned"),
        service_level=total.value("service_level"),
        longest_wait=round(total.longest, 1),
        satisfaction=total.value("satisfaction_rate"),
        rated=total.amount(Grain.ANSWERS, "ratings"),
        complaint_rate=total.value("complaint_rate"),
        complaints=total.count("complaints"),
        effective_answer_rate=total.value("effective_answer_rate"),
        rejected=total.count("rejected"),
        targets=targets,
    )


def _lines(slots: Sequence[Counts]) -> Mapping[str, tuple[float | None, ...]]:
    lines = {line: tuple(_told(slot.value(metric)) for slot in slots) for line, metric in LINES.items()}
    return {**lines, "longest_wait": tuple(round(slot.longest) for slot in slots)}


def _told(value: float | None) -> float | None:
    """Counts as whole numbers."""
    return int(value) if value is not None and value.is_integer() else value
