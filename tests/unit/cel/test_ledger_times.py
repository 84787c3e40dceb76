"""The ledger's lines carry the machine's time; what is known is on our clock, and the machine's may be set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cti.asterisk.cel import LedgerFile
from cti.asterisk.cel_lines import LedgerEvent
from cti.ids import AgentId, CallId, ChannelName, NodeName
from cti.ledger import CelLedger, LedgerTimes
from cti.model import facts as f
from cti.model.fact import Fact
from tests.support.ledger_lines import bridge, line, own

T0 = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
CALL, LEG = "a1-1795288590.6", "a1-1795288591.7"
CALLER, AGENT = "PJSIP/trunk-00000006", "PJSIP/1001-00000007"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def enter(moment: datetime, name: str) -> str:
    return bridge("BRIDGE_ENTER", moment, LEG, AGENT, bridge_id=name, call=CALL) + bridge(
        "BRIDGE_ENTER", moment, CALL, CALLER, bridge_id=name, call=CALL, peer=AGENT
    )


def leave(moment: datetime, name: str) -> str:
    return bridge("BRIDGE_EXIT", moment, LEG, AGENT, bridge_id=name, call=CALL, peer=CALLER) + bridge(
        "BRIDGE_EXIT", moment, CALL, CALLER, bridge_id=name, call=CALL
    )


@pytest.mark.parametrize("step", [3600.0, -3600.0, 20.0, -20.0])
async def test_no_talk_is_told_twice_when_the_machines_clock_was_set(tmp_path: Path, step: float) -> None:
    file, machine = LedgerFile(tmp_path / "Master.csv"), SimpleNamespace(seconds=0.0, step=0.0, pace=0.0)
    clock: Any = SimpleNamespace(now=lambda: at(machine.seconds), monotonic=lambda: machine.seconds)
    ledger = CelLedger(file, tmp_path / "position", clock=clock, ahead=lambda: timedelta(seconds=-machine.step))
    journal: list[Fact] = [
        f.CallStarted(at=T0, call_id=CallId(CALL), node=NodeName("a1"), did="100", channel=ChannelName(CALLER))
    ]
    board: Any = SimpleNamespace(history={CallId(CALL): journal}, closed=())

    def write(seconds: float, text: Any, *rest: str) -> None:
        while machine.seconds < seconds:  # once a second it is looked at
            machine.seconds += 1.0
            machine.step -= machine.step / 1000  # and ours comes nearer to the machine's
            ledger._mark(file.size())
        with file.path.open("a") as ledger_file:
            ledger_file.write(text(at(machine.seconds + machine.step), *rest))

    agent = AgentId("1001")
    write(
        0, lambda moment: line("CHAN_START", moment, CALL, CALLER) + own("CTI_INBOUND", moment, CALL, CALLER, "+1", "1")
    )
    assert await ledger.missed(board) == []
    write(5, enter, "b1")
    journal.append(f.CallAnswered(at=at(5), call_id=CallId(CALL), agent_id=agent))
    machine.step = step
    write(15, leave, "b1")
    journal.append(f.TalkEnded(at=at(15), call_id=CallId(CALL), agent_id=agent))
    write(40, enter, "b2")
    journal.append(f.CallAnswered(at=at(40), call_id=CallId(CALL), agent_id=agent))
    machine.seconds = 41.0
    assert await ledger.missed(board) == [], "all of it is known, and the second talk goes on"
    write(70, leave, "b2")
    (ended,) = await ledger.missed(board)
    assert isinstance(ended, f.TalkEnded)
    assert abs(ended.at - at(70)) <= timedelta(seconds=2), "what is news is told on our clock"


def test_where_the_clocks_agree_nothing_is_changed_and_little_is_remembered() -> None:
    times = LedgerTimes()
    for second in range(100):
        times.mark(second * 10, at(second), timedelta(milliseconds=second % 7))
    events = [
        LedgerEvent(event="HANGUP", at=at(n * 3), unique_id=CALL, linked_id=CALL, channel=CALLER, offset=n * 7)
        for n in range(200)
    ]
    assert times.ours(events) == events
    assert len(times._marks) == 2
    times.mark(1000, at(100), timedelta(hours=1))
    times.forget(995)
    assert [mark.position for mark in times._marks] == [990, 1000]
    times.mark(5, at(101), timedelta())
    assert [mark.position for mark in times._marks] == [5], "the file was replaced"
