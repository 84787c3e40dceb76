"""Reading Asterisk's event ledger, and what it says about calls nobody watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cti.asterisk import render
from cti.asterisk.cel import LedgerFile
from cti.asterisk.cel_facts import COLUMNS, infer_facts, read_ledger, settled_position
from cti.asterisk.cel_known import known_calls
from cti.ids import AgentId, CallId, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.model.facts import Device, Fact, HangupBy, OfferEnd
from tests.support.ledger_lines import bridge, hangup, line, own

T0 = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
CALL, LEG = "a1-1795288590.6", "a1-1795288591.7"
CALLER, AGENT, BROWSER = "PJSIP/trunk-00000006", "PJSIP/1001-00000007", "PJSIP/1001-web-00000007"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def facts_of(text: str, journal: list[Fact] | None = None, **options: datetime) -> list[Fact]:
    events = read_ledger(text.encode()).events
    news = infer_facts(events, known_calls(journal or []), **options)
    again = infer_facts(events, known_calls([*(journal or []), *news]), **options)
    assert again == []
    assert all(fact.inferred for fact in news)
    return news


def inbound(seconds: float = 0, number: str = "+15550100") -> str:
    return line("CHAN_START", at(seconds), CALL, CALLER) + own("CTI_INBOUND", at(seconds), CALL, CALLER, number, "100")


def talk(start: float, end: float, *, agent: str = AGENT, first: str = "agent", source: str | None = None) -> str:
    """A talk, as Dial and Queue write it: the agent's leg enters first; who leaves first ended it."""
    leaving = [(LEG, agent, CALLER), (CALL, CALLER, agent)]
    if first == "caller":
        leaving.reverse()
    enter = bridge("BRIDGE_ENTER", at(start), LEG, agent, bridge_id="b1", call=CALL) + bridge(
        "BRIDGE_ENTER", at(start + 0.0002), CALL, CALLER, bridge_id="b1", call=CALL, peer=agent
    )
    (one, one_name, peer), (two, two_name, _) = leaving
    exit_ = bridge("BRIDGE_EXIT", at(end), one, one_name, bridge_id="b1", call=CALL, peer=peer) + bridge(
        "BRIDGE_EXIT", at(end + 0.0001), two, two_name, bridge_id="b1", call=CALL
    )
    return enter + exit_ + hangup(at(end + 0.0003), LEG, agent, source=source or one_name, call=CALL)


STARTED = f.CallStarted(
    at=at(0),
    call_id=CallId(CALL),
    node=NodeName("a1"),
    caller_number="+15550100",
    did="100",
    channel=CALLER,
    inferred=True,
)


def test_columns_are_those_that_are_written() -> None:
    assert COLUMNS == render.LEDGER_COLUMNS
    template = (Path(__file__).parents[3] / "asterisk_conf" / "cel_custom.conf.j2").read_text()
    written = template.rsplit("=>", 1)[1]
    order = [
        "eventtype",
        "eventtime",
        "uniqueid",
        "linkedid",
        "channame",
        "BRIDGEPEER",
        "context",
        "exten",
        "num",
        "extra",
    ]
    places = [written.lower().index(name.lower()) for name in order]
    assert places == sorted(places)


def test_a_whole_call_through_survival() -> None:
    text = (
        inbound()
        + own("CTI_SURVIVAL", at(10), CALL, CALLER, "support")
        + talk(15, 75)
        + hangup(at(75.0005), CALL, CALLER, source=AGENT)
        + line("LINKEDID_END", at(75.001), LEG, AGENT, linked_id=CALL)
    )
    assert facts_of(text) == [
        STARTED,
        f.SurvivalEntered(at=at(10), call_id=CallId(CALL), queue=QueueName("support"), inferred=True),
        f.CallAnswered(at=at(15.0002), call_id=CallId(CALL), agent_id=AgentId("1001"), inferred=True),
        f.TalkEnded(at=at(75), call_id=CallId(CALL), agent_id=AgentId("1001"), inferred=True),
        f.CallEnded(at=at(75.0005), call_id=CallId(CALL), hangup_by=HangupBy.AGENT, cause=16, inferred=True),
    ]


@pytest.mark.parametrize("agent", [AGENT, BROWSER])
@pytest.mark.parametrize(
    ("first", "source", "by"),
    [
        ("agent", "agent", HangupBy.AGENT),
        ("caller", "caller", HangupBy.CALLER),
        ("agent", "", HangupBy.AGENT),
        ("caller", "", HangupBy.CALLER),
        ("agent", "dialplan/builtin", HangupBy.AGENT),
    ],
)
def test_who_hung_up(agent: str, first: str, source: str, by: HangupBy) -> None:
    name = {"agent": agent, "caller": CALLER}.get(source, source)
    text = (
        inbound()
        + own("CTI_SURVIVAL", at(1), CALL, CALLER, "support")
        + talk(2, 30, agent=agent, first=first, source=name)
        + hangup(at(30.1), CALL, CALLER, source=name)
    )
    news = facts_of(text)
    assert isinstance(news[-1], f.CallEnded)
    assert news[-1].hangup_by is by


def test_an_abandoned_call_and_a_withheld_number() -> None:
    text = inbound(number="") + hangup(at(4), CALL, CALLER, source=CALLER, cause=127)
    started, ended = facts_of(text)
    assert isinstance(started, f.CallStarted)
    assert started.caller_number is None
    assert ended == f.CallEnded(at=at(4), call_id=CallId(CALL), hangup_by=HangupBy.CALLER, cause=127, inferred=True)


def test_voicemail() -> None:
    text = (
        inbound()
        + own("CTI_SURVIVAL", at(5), CALL, CALLER, "")
        + own("CTI_VOICEMAIL", at(330), CALL, CALLER, f"{CALL}.wav", "17")
        + hangup(at(330.1), CALL, CALLER, source="dialplan/builtin")
    )
    _, survival, message, ended = facts_of(text)
    assert isinstance(survival, f.SurvivalEntered)
    assert survival.queue is None
    assert message == f.VoicemailLeft(at=at(330), call_id=CallId(CALL), path=f"{CALL}.wav", seconds=17.0, inferred=True)
    assert isinstance(ended, f.CallEnded)
    assert ended.hangup_by is HangupBy.SYSTEM


def test_a_recording_that_began_while_the_bridge_was_away() -> None:
    text = (
        inbound()
        + own("CTI_SURVIVAL", at(5), CALL, CALLER, "support")
        + own("CTI_RECORDING", at(6), CALL, CALLER, f"{CALL}.wav")
        + own("CTI_RECORDING", at(7), CALL, CALLER, "../other.wav")
        + hangup(at(30), CALL, CALLER, source=CALLER)
    )
    facts = facts_of(text)
    (began,) = [fact for fact in facts if isinstance(fact, f.RecordingStarted)]
    assert began == f.RecordingStarted(at=at(6), call_id=CallId(CALL), path=f"{CALL}.wav", inferred=True)
    assert [fact for fact in facts_of(text, [*facts[:-1]]) if isinstance(fact, f.RecordingStarted)] == []


def offered() -> list[Fact]:
    """The journal of a call whose bridge died while an agent's phone rang."""
    call = CallId(CALL)
    return [
        f.CallStarted(at=at(0.01), call_id=call, node=NodeName("a1"), channel=CALLER, did="100"),
        f.CallQueued(at=at(5), call_id=call, queue=QueueName("support")),
        f.OfferMade(
            at=at(6), call_id=call, offer_id=OfferId(1), agent_id=AgentId("1001"), queue=QueueName("support"),
            device=Device.SIP, deadline=at(21),
        ),
    ]  # fmt: skip


def test_answered_while_the_bridge_was_away() -> None:
    text = inbound() + talk(8, 40) + hangup(at(40.1), CALL, CALLER, source=AGENT)
    assert [type(fact) for fact in facts_of(text, offered())] == [f.CallAnswered, f.TalkEnded, f.CallEnded]


def test_only_the_end_of_a_known_talk_is_news() -> None:
    answered = f.CallAnswered(at=at(8.3), call_id=CallId(CALL), agent_id=AgentId("1001"), offer_id=OfferId(1))
    whole = inbound() + talk(8, 40) + hangup(at(40.1), CALL, CALLER, source=AGENT)
    tail = "".join(
        line for line in whole.splitlines(keepends=True) if '"BRIDGE_ENTER"' not in line and "CTI_" not in line
    )
    for text in (whole, tail):
        assert [type(fact) for fact in facts_of(text, [*offered(), answered])] == [f.TalkEnded, f.CallEnded]


def test_a_talk_that_goes_on_is_not_ended() -> None:
    text = inbound() + "".join(talk(8, 40).splitlines(keepends=True)[:2])
    assert [type(fact) for fact in facts_of(text, offered())] == [f.CallAnswered]


def test_a_closed_call_is_left_alone() -> None:
    text = inbound() + talk(8, 40) + hangup(at(40.1), CALL, CALLER, source=AGENT)
    events = read_ledger(text.encode()).events
    assert infer_facts(events, known_calls([], closed=[CallId(CALL)])) == []


def test_events_out_of_order_of_time() -> None:
    """As seen: the caller's BRIDGE_EXIT is written behind the agent's HANGUP."""
    lines = (inbound() + talk(8, 40) + hangup(at(40.1), CALL, CALLER, source=AGENT)).splitlines(keepends=True)
    shuffled = "".join([*lines[:4], lines[4], lines[6], lines[5], *lines[7:]])
    assert facts_of(shuffled) == facts_of("".join(lines))


def test_an_answer_that_nothing_announced_came_through_survival() -> None:
    news = facts_of(inbound() + talk(8, 40) + hangup(at(40.1), CALL, CALLER, source=CALLER))
    kinds = [f.CallStarted, f.SurvivalEntered, f.CallAnswered, f.TalkEnded, f.CallEnded]
    assert [type(fact) for fact in news] == kinds


def test_an_agent_who_calls_in_is_a_caller() -> None:
    text = line("CHAN_START", at(0), CALL, "PJSIP/1002-00000006") + own(
        "CTI_INBOUND", at(0), CALL, "PJSIP/1002-00000006", "1002", "100"
    )
    text += bridge("BRIDGE_ENTER", at(2), LEG, AGENT, bridge_id="b", call=CALL)
    text += bridge("BRIDGE_ENTER", at(2), CALL, "PJSIP/1002-00000006", bridge_id="b", call=CALL, peer=AGENT)
    agents = [fact.agent_id for fact in facts_of(text) if isinstance(fact, f.CallAnswered)]
    assert agents == ["1001"]


def test_nobody_speaks_for_another_call() -> None:
    forged = line("CTI_INBOUND", at(0), "a1-1.1", "PJSIP/trunk-00000001", extra={"extra": f"{CALL}|1|100"})
    assert facts_of(forged) == []


def test_a_restart_of_asterisk_ends_what_it_cut_off() -> None:
    text = inbound() + own("CTI_SURVIVAL", at(5), CALL, CALLER, "support")
    text += "".join(talk(15, 75).splitlines(keepends=True)[:2])
    assert not [fact for fact in facts_of(text) if isinstance(fact, f.CallEnded)]
    news = facts_of(text, asterisk_started_at=at(100))
    assert [type(fact) for fact in news[-2:]] == [f.TalkEnded, f.CallEnded]
    assert news[-1].at == at(15.0002)
    assert facts_of(text, asterisk_started_at=at(1))[-1] == facts_of(text)[-1]


def test_a_torn_last_line_waits_and_a_torn_middle_is_skipped() -> None:
    data = (inbound() + hangup(at(3), CALL, CALLER, source=CALLER)).encode()
    whole = read_ledger(data)
    assert (whole.position, whole.skipped, len(whole.events)) == (len(data), 0, 4)
    for cut in range(len(data)):
        first = read_ledger(data[:cut])
        assert first.position <= cut
        assert first.skipped == 0
        second = read_ledger(data[first.position :], offset=first.position)
        assert first.events + second.events == whole.events
        assert second.position == len(data)
    lines = data.splitlines(keepends=True)
    for cut in range(len(lines[1]) - 1):
        # Asterisk was killed in the second line and started again: the third follows the torn end at once.
        torn = read_ledger(lines[0] + lines[1][:cut] + lines[2] + lines[3])
        assert [event.event for event in torn.events] == ["CHAN_START", "HANGUP", "CHAN_END"]
        assert torn.skipped == (1 if cut else 0)


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff\xfe\n", b"\n", b'"a"\n', b'"A","1.000000","u","l","c","","","","","{"\n', b'"A",' * 9 + b'"x"\n',
        b'"A","99999999999.000000","u","l","c","","","","","[]"\n', b'"A"x,"1.000000","u","l","c","","","","",""\n',
        b'"A","1.000000","u","l","c","","","","","' + b"[" * 9000 + b'"\n', b"x" * 20_000 + b"\n",
    ],
)  # fmt: skip
def test_junk_is_skipped(junk: bytes) -> None:
    good = inbound().encode()
    read = read_ledger(junk + good)
    assert [event.event for event in read.events] == ["CHAN_START", "CTI_INBOUND"]
    assert read.position == len(junk + good)


def test_the_position_waits_for_open_calls() -> None:
    first = inbound() + hangup(at(3), CALL, CALLER, source=CALLER)
    other = own("CTI_INBOUND", at(5), "a1-1.9", "PJSIP/trunk-00000009", "", "100")
    read = read_ledger((first + other).encode())
    assert settled_position(read, {}) < len(first)
    assert settled_position(read, known_calls([], closed=[CallId(CALL)])) == len(first)
    assert settled_position(read, known_calls([], closed=[CallId(CALL), CallId("a1-1.9")])) == len(first + other)


def test_the_file(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path / "cel.csv")
    assert (file.read().events, file.read(77).position) == ((), 0)
    data = (inbound() + hangup(at(3), CALL, CALLER, source=CALLER)).encode() * 3000
    file.path.write_bytes(data + b'"torn')
    whole = file.read()
    assert whole == read_ledger(data + b'"torn')
    assert len(whole.events) == 12_000
    assert file.read(whole.position).events == ()
    assert file.read(len(data) * 2) == whole


CALLBACK = CallId(f"{CALL}-cb")
CUSTOMER = f"{CALLBACK}-2"


def callback_journal(*, dialled: bool = True) -> list[Fact]:
    """A callback that waits, and whose customer is being called for the second time."""
    facts: list[Fact] = [
        f.CallStarted(
            at=at(0), call_id=CALLBACK, node=NodeName("a1"), direction=f.Direction.OUTBOUND, parent=CallId(CALL)
        ),
        f.CallQueued(at=at(0), call_id=CALLBACK, queue=QueueName("support")),
    ]
    if dialled:
        facts += [
            f.CallbackDialled(at=at(1), call_id=CALLBACK, attempt=1, channel=f"{CALLBACK}-1"),
            f.CallbackFailed(at=at(9), call_id=CALLBACK, attempt=1, status="busy", retry_at=at(15)),
            f.CallbackDialled(at=at(15), call_id=CALLBACK, attempt=2, channel=CUSTOMER),
        ]
    return facts


def test_a_customer_who_was_called_back_and_served_unseen() -> None:
    mine = "PJSIP/trunk-00000009"
    text = (
        hangup(at(9), f"{CALLBACK}-1", "PJSIP/trunk-00000008", source="", cause=17)
        + line("CHAN_START", at(15), CUSTOMER, mine)
        + line("CTI_CALLBACK", at(20), CUSTOMER, mine, extra={"extra": f"{CALLBACK}|confirmed"})
        + line("CTI_SURVIVAL", at(50), CUSTOMER, mine, extra={"extra": f"{CALLBACK}|support"})
        + bridge("BRIDGE_ENTER", at(60), LEG, AGENT, bridge_id="b1", call=CUSTOMER)
        + bridge("BRIDGE_ENTER", at(60), CUSTOMER, mine, bridge_id="b1", call=CUSTOMER, peer=AGENT)
        + bridge("BRIDGE_EXIT", at(90), CUSTOMER, mine, bridge_id="b1", call=CUSTOMER, peer=AGENT)
        + hangup(at(90), CUSTOMER, mine, source=mine)
    )
    news = facts_of(text, callback_journal())
    assert [type(fact) for fact in news] == [
        f.CallbackReached, f.SurvivalEntered, f.CallAnswered, f.TalkEnded, f.CallEnded,
    ]  # fmt: skip
    assert {fact.call_id for fact in news if isinstance(fact, f.CallFact)} == {CALLBACK}
    reached, ended = news[0], news[-1]
    assert isinstance(reached, f.CallbackReached)
    assert reached.channel == mine
    assert isinstance(ended, f.CallEnded)
    assert ended.hangup_by is HangupBy.CALLER


def test_an_attempt_that_reached_nobody_is_not_the_end_of_the_callback() -> None:
    gone = line("CHAN_START", at(15), CUSTOMER, "PJSIP/trunk-00000009")
    gone += hangup(at(30), CUSTOMER, "PJSIP/trunk-00000009", source="", cause=19)
    assert facts_of(gone, callback_journal()) == []
    assert facts_of(gone, callback_journal(), asterisk_started_at=at(40)) == []
    assert facts_of("", callback_journal(dialled=False), asterisk_started_at=at(40)) == []


def test_the_ledger_is_kept_from_where_a_callback_was_dialled() -> None:
    text = (
        inbound() + hangup(at(1), CALL, CALLER, source=CALLER) + line("CHAN_START", at(15), CUSTOMER, "PJSIP/trunk-9")
    )
    read = read_ledger(text.encode())
    known = known_calls(callback_journal(), closed=[CallId(CALL)])
    assert read.events[-1].offset == settled_position(read, known)


FIRST = f"{CALLBACK}-a1795288700-1001"
"""The leg of an agent who is called first."""
MINE, THEIRS, THEIR_LEG = "PJSIP/1001-00000003", "PJSIP/trunk-00000004", "a1-1795288701.4"


def offered_journal(*, dialled: bool = False) -> list[Fact]:
    """A callback that is offered to an agent for the second time, as the agent's telephone rings."""
    offer = f.OfferMade(
        at=at(1), call_id=CALLBACK, offer_id=OfferId(1795288600), agent_id=AgentId("1001"), queue=QueueName("support"),
        device=Device.SIP, deadline=at(20),
    )  # fmt: skip
    before = f"{CALLBACK}-a1795288600-1001"
    facts: list[Fact] = [
        *callback_journal(dialled=False),
        offer,
        f.CallbackDialled(at=at(2), call_id=CALLBACK, attempt=1, channel=before, agent_id=AgentId("1001")),
        f.CallbackFailed(at=at(3), call_id=CALLBACK, attempt=1, status="busy", retry_at=at(15)),
        f.OfferEnded(
            at=at(3), call_id=CALLBACK, offer_id=offer.offer_id, agent_id=AgentId("1001"), end=OfferEnd.SUPERSEDED
        ),
        replace(offer, at=at(15), offer_id=OfferId(1795288700)),
    ]
    if dialled:
        facts.append(f.CallbackDialled(at=at(18), call_id=CALLBACK, attempt=2, channel=FIRST, agent_id=AgentId("1001")))
    return facts


def calling(*, until: float = 18) -> str:
    """The agent picks up, the customer's telephone rings; as 22.10.1 wrote it."""
    return (
        line("CHAN_START", at(15.1), FIRST, MINE)
        + line("ANSWER", at(until), FIRST, MINE)
        + line("CTI_CALLBACK", at(until), FIRST, MINE, extra={"extra": f"{CALLBACK}|calling"})
        + line("CHAN_START", at(until), THEIR_LEG, THEIRS, linked_id=FIRST)
    )


@pytest.mark.parametrize("dialled", [False, True])
@pytest.mark.parametrize("first", ["customer", "agent"])
def test_an_agent_who_called_back_unseen(dialled: bool, first: str) -> None:
    ends = [(THEIR_LEG, THEIRS, MINE), (FIRST, MINE, "")]
    if first == "agent":
        ends = [(FIRST, MINE, THEIRS), (THEIR_LEG, THEIRS, "")]
    text = (
        calling()
        + bridge("BRIDGE_ENTER", at(20), THEIR_LEG, THEIRS, bridge_id="b1", call=FIRST)
        + bridge("BRIDGE_ENTER", at(20.0001), FIRST, MINE, bridge_id="b1", call=FIRST, peer=THEIRS)
        + bridge("BRIDGE_EXIT", at(60), *ends[0][:2], bridge_id="b1", call=FIRST, peer=ends[0][2])
        + bridge("BRIDGE_EXIT", at(60.0001), *ends[1][:2], bridge_id="b1", call=FIRST)
        + hangup(at(60.0002), THEIR_LEG, THEIRS, source=ends[0][1], call=FIRST)
        + hangup(at(60.0003), FIRST, MINE, source=ends[0][1], call=FIRST)
    )
    news = facts_of(text, offered_journal(dialled=dialled))
    kinds = [f.CallbackDialled, f.CallbackReached, f.CallAnswered, f.TalkEnded, f.CallEnded]
    assert [type(fact) for fact in news] == kinds[dialled:]
    answered, ended = news[-3], news[-1]
    assert isinstance(answered, f.CallAnswered)
    assert isinstance(ended, f.CallEnded)
    assert (answered.agent_id, answered.at) == ("1001", at(20.0001))
    assert ended.hangup_by is (HangupBy.CALLER if first == "customer" else HangupBy.AGENT)


@pytest.mark.parametrize("dialled", [False, True])
def test_a_customer_whom_an_agent_did_not_reach_unseen(dialled: bool) -> None:
    text = (
        calling()
        + hangup(at(19), THEIR_LEG, THEIRS, source=THEIRS, call=FIRST, cause=17)
        + line("CTI_CALLBACK", at(19), FIRST, MINE, extra={"extra": f"{CALLBACK}|unreached|BUSY"})
        + hangup(at(19.0006), FIRST, MINE, source="", call=FIRST, cause=17)
    )
    news = facts_of(text, offered_journal(dialled=dialled))
    assert [type(fact) for fact in news] == [f.CallbackDialled, f.CallbackFailed][dialled:]
    failed = news[-1]
    assert isinstance(failed, f.CallbackFailed)
    assert (failed.attempt, failed.status, failed.at) == (2, "busy", at(19))


def test_an_agent_who_did_not_take_the_callback_ends_nothing() -> None:
    text = line("CHAN_START", at(15.1), FIRST, MINE) + hangup(at(30), FIRST, MINE, source="", call=FIRST, cause=19)
    assert facts_of(text, offered_journal()) == []
    assert facts_of(text, offered_journal(), asterisk_started_at=at(40)) == []


@pytest.mark.parametrize("outside", ["PJSIP/trunk-00000007", "Local/179528870031004@cti-outside-00000001;1"])
def test_a_talk_with_an_agent_at_an_outside_number(outside: str) -> None:
    leg = LEG
    text = (
        inbound()
        + line("CTI_AGENT", at(14), leg, outside, linked_id=CALL, extra={"extra": f"{CALL}|1004"})
        + talk(15, 75, agent=outside)
        + hangup(at(75.0005), CALL, CALLER, source=outside)
    )
    news = facts_of(text)
    answered = [fact for fact in news if isinstance(fact, f.CallAnswered)]
    assert [fact.agent_id for fact in answered] == ["1004"]
    ended = news[-1]
    assert isinstance(ended, f.CallEnded)
    assert ended.hangup_by is HangupBy.AGENT
