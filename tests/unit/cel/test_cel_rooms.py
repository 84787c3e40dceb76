"""What the ledger says about talks in a room: legs that come and go there by command end nothing, legs that end do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cti.asterisk.cel_facts import infer_facts, read_ledger
from cti.asterisk.cel_known import known_calls
from cti.ids import AgentId, CallId, NodeName
from cti.model import facts as f
from cti.model.facts import DestinationKind, Fact
from tests.support.ledger_lines import bridge, hangup, line, own

T0 = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
CALL, LEG, ASKED = "a1-1795288590.6", "a1-1795288591.7", "a1-1795288590.6-p1"
CALLER, ADA, BO = "PJSIP/trunk-00000006", "PJSIP/1001-00000007", "PJSIP/1002-00000008"
ROOMS_OWN = "CBAnn/a1-1795288590.6-00000000;2"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def journal() -> list[Fact]:
    """Ada answered and asked Bo about the caller; the bridge died then."""
    call_id = CallId(CALL)
    return [
        f.CallStarted(at=at(0), call_id=call_id, node=NodeName("a1"), did="100", channel=CALLER),
        f.SurvivalEntered(at=at(1), call_id=call_id),
        f.CallAnswered(at=at(5), call_id=call_id, agent_id=AgentId("1001")),
        f.CallHeld(at=at(10), call_id=call_id, agent_id=AgentId("1001"), server=True),
        f.ConsultStarted(
            at=at(10), call_id=call_id, agent_id=AgentId("1001"), party="1002", kind=DestinationKind.AGENT, leg_id=ASKED,
            consulted=AgentId("1002"), deadline=at(35),
        ),
    ]  # fmt: skip


def moves() -> str:
    """Talk; both legs leave their bridge by command, Ada into the room; Bo comes into it."""
    text = line("CHAN_START", at(0), CALL, CALLER) + own("CTI_INBOUND", at(0), CALL, CALLER, "+15550100", "100")
    text += bridge("BRIDGE_ENTER", at(5), LEG, ADA, bridge_id="b1", call=CALL)
    text += bridge("BRIDGE_ENTER", at(5), CALL, CALLER, bridge_id="b1", call=CALL, peer=ADA)
    text += bridge("BRIDGE_EXIT", at(10), LEG, ADA, bridge_id="b1", call=CALL, peer=CALLER)
    text += bridge("BRIDGE_EXIT", at(10.001), CALL, CALLER, bridge_id="b1", call=CALL)
    text += bridge("BRIDGE_ENTER", at(10.002), LEG, ADA, bridge_id="room", call=CALL, peer=ROOMS_OWN)
    text += bridge("BRIDGE_ENTER", at(14), ASKED, BO, bridge_id="room", call=ASKED, peer=f"{ADA},{ROOMS_OWN}")
    return text


def news(text: str) -> list[Fact]:
    events = read_ledger(text.encode()).events
    found = infer_facts(events, known_calls(journal()))
    assert infer_facts(events, known_calls([*journal(), *found])) == []
    return found


def test_a_hold_by_the_server_and_a_consultation_are_no_end_of_the_talk() -> None:
    assert news(moves()) == []
    text = moves() + bridge("BRIDGE_ENTER", at(20), CALL, CALLER, bridge_id="room", call=CALL, peer=f"{BO},{ADA}")
    assert news(text) == []


def test_an_agent_who_hangs_up_in_the_room_has_ended_their_talk() -> None:
    text = moves() + bridge("BRIDGE_EXIT", at(20), LEG, ADA, bridge_id="room", call=CALL, peer=BO)
    (ended,) = news(text + hangup(at(20.001), LEG, ADA, source=ADA, call=CALL))
    assert isinstance(ended, f.TalkEnded)
    assert (ended.agent_id, ended.at) == ("1001", at(20.001))


def test_the_caller_who_hangs_up_on_hold_ends_the_call() -> None:
    facts = news(moves() + hangup(at(20), CALL, CALLER, source=CALLER, call=CALL))
    assert isinstance(facts[-1], f.CallEnded)
    assert facts[-1].hangup_by is f.HangupBy.CALLER
