"""Alerts on a floor: raised, worse, acknowledged, over; not while nobody can see, and the same after a restart."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cti.ids import NodeName, QueueName
from cti.model import facts as f
from cti.model.alert_facts import AlertAcknowledged, AlertChanged
from cti.model.alerts import ALWAYS, Level
from cti.model.recording_facts import RecordingFlagged
from cti.services import alarms, timers
from cti.services.floor import Refused
from cti.services.recording_troubles import ToldStore
from cti.services.recordings import NoRecording, RecordingAway
from cti.services.rows import Rows
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import CENTRE_TEXT, FloorRig

RULES = """
alerts:
  each_queue:
    longest_wait: {warn: 30, critical: 60, back: 5, hold: 5}
    agents_ready: {critical: 0, hold: 10}
  queues:
    sales: {agents_ready: {warn: 0, hold: 3600}}
"""


@pytest.fixture
def rig() -> FloorRig:
    rig = FloorRig(CENTRE_TEXT + RULES)
    rig.board.linked = True
    return rig


def told(rig: FloorRig) -> list[tuple[str, str, str]]:
    return [(fact.queue or "-", fact.figure, fact.level) for fact in rig.facts if isinstance(fact, AlertChanged)]


def live(rig: FloorRig, seconds: int) -> None:
    for _ in range(seconds):
        rig.now += timedelta(seconds=1)
        timers.tick(rig.board, rig.now)
        rig.drain()


def test_nobody_ready_is_raised_once_and_is_over_when_somebody_is(rig: FloorRig) -> None:
    live(rig, 60)
    assert told(rig) == [("support", "agents_ready", "critical")]
    row = rig.board.alarms.rows["support.agents_ready"]
    assert (row.level, row.value, row.limit) == ("critical", 0.0, 0.0)
    rig.board.record(f.AgentChanged(at=rig.now, agent_id=f.AgentId("1002"), state=f.AgentState.READY))
    live(rig, 9)
    assert len(told(rig)) == 1
    live(rig, 5)
    assert told(rig)[-1] == ("support", "agents_ready", "none")
    assert rig.board.alarms.rows == {}


def test_pages_are_told_and_see_who_saw_to_it(rig: FloorRig) -> None:
    rows = Rows(rig.board)
    rows.change(rig.now)
    live(rig, 20)
    change = rows.change(rig.now)
    assert change is not None
    assert list(change.alerts) == ["support.agents_ready"]
    alarms.acknowledge(rig.board, "support.agents_ready", rig.now, by="lena")
    alarms.acknowledge(rig.board, "support.agents_ready", rig.now, by="lena")
    rig.drain()
    assert [fact.by for fact in rig.facts if isinstance(fact, AlertAcknowledged)] == ["lena"]
    change = rows.change(rig.now)
    assert change is not None
    seen = change.alerts["support.agents_ready"]
    assert seen is not None
    assert (seen.acknowledged_by, seen.acknowledged_at) == ("lena", rig.now)
    assert rows.view(rig.now).alerts == {"support.agents_ready": seen}
    with pytest.raises(Refused) as refused:
        alarms.acknowledge(rig.board, "sales.waiting", rig.now, by="lena")
    assert refused.value.error_id == "no_alert"


def test_nothing_is_judged_while_nobody_can_see(rig: FloorRig) -> None:
    rig.board.linked = False
    live(rig, 120)
    assert told(rig) == []
    rig.board.linked = True
    live(rig, 12)
    assert told(rig) == [("support", "agents_ready", "critical")]


def test_a_restart_keeps_the_alert_and_who_saw_to_it(rig: FloorRig) -> None:
    live(rig, 20)
    alarms.acknowledge(rig.board, "support.agents_ready", rig.now, by="lena")
    rig.drain()
    again = Switchboard(rig.board.centre, node=NodeName("t1"), now=rig.now)
    again.recover(rig.facts, rig.now)
    assert again.alarms.rows == rig.board.alarms.rows
    again.linked = True
    for second in range(1, 60):
        timers.tick(again, rig.now + timedelta(seconds=second))
    # It goes on from there: not raised anew, and so not to be seen to anew.
    assert [fact for fact in again.out.facts if isinstance(fact, AlertChanged)] == []


def test_a_rule_that_is_taken_out_ends_its_alert(rig: FloorRig) -> None:
    live(rig, 20)
    plain = FloorRig(CENTRE_TEXT).board.centre
    rig.board.centre = plain
    live(rig, 3)
    assert told(rig)[-1] == ("support", "agents_ready", Level.NONE)
    assert rig.board.alarms.rows == {}
    assert {figure for _, figure in rig.board.alarms.watches} == set(ALWAYS)
    assert QueueName("support") in plain.queues


# ---- recordings, which every centre watches


def flagged(rig: FloorRig, call: str) -> None:
    """As the recordings' own room tells of it: written to the journal there."""
    fact = RecordingFlagged(at=rig.now, call_id=f.CallId(call), path=f"{call}.wav", trouble="short", expected=9.0)
    rig.facts.append(fact)
    rig.board.alarms.learn(fact)


def test_a_flagged_recording_is_an_alert_at_once_until_somebody_has_seen_to_it() -> None:
    rig = FloorRig()  # a centre without rules of its own
    rig.board.linked = True
    timers.tick(rig.board, rig.now)
    assert rig.board.alarms.next_due(rig.board.centre.alerts) is None
    flagged(rig, "t1-1.1")
    assert rig.board.alarms.next_due(rig.board.centre.alerts) == rig.now + alarms.LOOK_EVERY
    live(rig, 2)
    assert told(rig) == [("-", "recordings_flagged", "warn")]
    for number in range(2, 6):
        flagged(rig, f"t1-1.{number}")
    live(rig, 2)
    row = rig.board.alarms.rows["-.recordings_flagged"]
    assert (row.level, row.value, row.limit) == ("critical", 5.0, 5.0)
    # The same after a restart; and nobody has to see to it twice.
    again = Switchboard(rig.board.centre, node=NodeName("t1"), now=rig.now)
    again.recover(rig.facts, rig.now)
    assert again.alarms.rows == rig.board.alarms.rows
    assert again.alarms.recordings.flagged(rig.now) == 5.0
    alarms.acknowledge(rig.board, "-.recordings_flagged", rig.now, by="lena")
    live(rig, 2)
    assert told(rig)[-1] == ("-", "recordings_flagged", "none")
    assert rig.board.alarms.rows == {}
    again = Switchboard(rig.board.centre, node=NodeName("t1"), now=rig.now)
    again.recover(rig.facts, rig.now)
    assert again.alarms.recordings.flagged(rig.now) == 0.0
    flagged(rig, "t1-1.9")
    live(rig, 2)
    assert told(rig)[-1] == ("-", "recordings_flagged", "warn")
    live(rig, 5)
    rig.now += timedelta(days=1)
    live(rig, 2)
    assert told(rig)[-1] == ("-", "recordings_flagged", "none")


class Silent:
    """A bucket that answers, or does not."""

    place = "s3"

    def __init__(self) -> None:
        self.away = False

    async def put(self, name: str, file: Path) -> None:
        if self.away:
            raise RecordingAway("no answer")

    async def size(self, name: str) -> int | None:
        if self.away:
            raise RecordingAway("no answer")
        return None

    async def read(self, name: str, start: int, stop: int) -> bytes:
        raise NoRecording("not there")

    async def delete(self, name: str) -> bool:
        return False


async def test_a_place_that_does_not_answer_is_an_alert_until_it_does(tmp_path: Path) -> None:
    rig = FloorRig()
    rig.board.linked = True
    timers.tick(rig.board, rig.now)
    bucket = Silent()
    store = ToldStore(bucket, lambda away: rig.board.alarms.recordings.place(rig.now, away=away))
    assert (store.place, await store.size("x")) == ("s3", None)
    bucket.away = True
    with pytest.raises(RecordingAway):
        await store.put("x", tmp_path / "x")
    live(rig, 2)
    assert told(rig) == [("-", "recording_place_away", "warn")]
    for _ in range(21):  # it is tried again every half minute
        with pytest.raises(RecordingAway):
            await store.size("x")
        live(rig, 30)
    assert told(rig)[-1] == ("-", "recording_place_away", "critical")
    bucket.away = False
    with pytest.raises(NoRecording):
        await store.read("x", 0, 1)  # what is not there is an answer
    live(rig, 2)
    assert told(rig)[-1] == ("-", "recording_place_away", "none")
    bucket.away = True
    with pytest.raises(RecordingAway):
        await store.size("x")
    live(rig, 2)
    assert told(rig)[-1] == ("-", "recording_place_away", "warn")
    live(rig, 110)  # nobody asks any more: nobody knows
    assert told(rig)[-1] == ("-", "recording_place_away", "none")
    assert not await store.delete("x")
