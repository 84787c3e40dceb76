"""Which segments are needed for what dialling out costs, where the summary of it is in several facts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cti.ids import CallId
from cti.journal.codec import Position
from cti.journal.retention import Retention
from cti.journal.segments import Segment
from cti.model.fact import Fact
from cti.model.toll_facts import TollEnded, TollsKept

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def kept(part: int, of: int) -> TollsKept:
    return TollsKept(at=NOW, next_leg=1, latest=0, legs=(), part=part, of=of)


def needed(*facts: Fact) -> list[int]:
    """Positions of the facts, each in a segment of its own, that a restart needs; the newest segment has none of them."""
    retention, segments = Retention(), []
    for position, fact in enumerate(facts):
        segment = Segment(first=position, path=Path(str(position)), end=position + 1, length=1, noted=True)
        retention.note(segment, position, fact)
        segments.append(segment)
    end = len(facts)
    segments.append(Segment(first=end, path=Path("newest"), end=end, length=1, noted=True))
    gone = {segment.first for segment in retention.unneeded(segments, Position(end), history_bytes=0)}
    return [position for position in range(end) if position not in gone]


def test_all_is_needed_from_the_first_part_of_the_newest_whole_summary_on() -> None:
    ended = TollEnded(at=NOW, leg=1, call_id=CallId("a1-1.1"))
    assert needed(ended, kept(1, 1), ended) == [1, 2]
    assert needed(kept(1, 1), kept(1, 3), kept(2, 3)) == [0, 1, 2]
    assert needed(kept(1, 1), kept(1, 3), kept(2, 3), kept(3, 3)) == [1, 2, 3]
    # The bridge died while it wrote one, and wrote another.
    assert needed(kept(1, 1), kept(1, 3), kept(2, 3), kept(1, 2), kept(2, 2)) == [3, 4]
    assert needed(kept(1, 1), kept(1, 3), kept(3, 3)) == [0, 1, 2]
