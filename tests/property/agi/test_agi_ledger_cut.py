"""A bridge may die and come back at any moment: journal and ledger together always give one complete record a call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.cel_facts import infer_facts, read_ledger
from cti.asterisk.cel_known import known_calls
from cti.ids import AgentId, CallId, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.model.call import CALL_TRANSITIONS, CallState
from cti.model.facts import Device, Fact, HangupBy
from tests.support.examples import examples
from tests.support.ledger_lines import bridge, hangup, line, own

T0 = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)
SEEN = (f.CallStarted, f.SurvivalEntered, f.CallAnswered, f.TalkEnded, f.VoicemailLeft, f.CallEnded)
"""The kinds of facts the ledger can tell."""
JITTER = timedelta(milliseconds=20)
"""AMI's and CEL's stamps of one event differ by less."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What happened: every fact as a bridge would have seen it, and every line of the ledger, in order of time."""

    facts: tuple[Fact, ...]
    lines: tuple[tuple[datetime, str], ...]


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    facts: list[Fact] = []
    lines: list[tuple[datetime, str]] = []
    for number in range(draw(st.integers(1, 4))):
        _call(draw, number, facts, lines)
    facts.sort(key=lambda fact: fact.at)
    lines.sort(key=lambda entry: entry[0])
    return Truth(tuple(facts), tuple(lines))


def _call(draw: st.DrawFn, number: int, facts: list[Fact], lines: list[tuple[datetime, str]]) -> None:
    unique = f"a1-17952{number:05d}.{number * 10}"
    call, caller = CallId(unique), f"PJSIP/trunk-0000000{number}"
    now = T0 + timedelta(seconds=draw(st.integers(0, 100)))

    def later() -> datetime:
        nonlocal now
        now += timedelta(milliseconds=draw(st.integers(100, 90_000)))
        return now

    def seen(at: datetime) -> datetime:
        return at + timedelta(milliseconds=draw(st.integers(-9, 9)))

    lines.append((now, line("CHAN_START", now, unique, caller)))
    lines.append((now, own("CTI_INBOUND", now, unique, caller, "+15550100", "100")))
    facts.append(
        f.CallStarted(
            at=seen(now), call_id=call, node=NodeName("a1"), caller_number="+15550100", did="100", channel=caller
        )
    )
    queued = draw(st.booleans())
    survival = draw(st.booleans())
    agent = AgentId(draw(st.sampled_from(["1001", "1002", "333333"])))
    offer = None
    if queued:
        facts.append(f.CallQueued(at=seen(later()), call_id=call, queue=QueueName("support")))
    if queued and not survival:
        offer = OfferId(number + 1)
        facts.append(
            f.OfferMade(
                at=seen(later()), call_id=call, offer_id=offer, agent_id=agent, queue=QueueName("support"),
                device=Device.SIP, deadline=now + timedelta(seconds=15),
            )
        )  # fmt: skip
    if survival:
        at = later()
        lines.append((at, own("CTI_SURVIVAL", at, unique, caller, "support")))
        facts.append(f.SurvivalEntered(at=seen(at), call_id=call, queue=QueueName("support")))
    by, source = HangupBy.CALLER, caller
    if (offer is not None or survival) and draw(st.booleans()):
        leg, name = (
            f"a1-17952{number:05d}.{number * 10 + 1}",
            f"PJSIP/{agent}{draw(st.sampled_from(['', '-web']))}-0000001{number}",
        )
        bridge_id = f"bridge-{number}"
        at = later()
        lines.append((at, bridge("BRIDGE_ENTER", at, leg, name, bridge_id=bridge_id, call=unique)))
        lines.append((at, bridge("BRIDGE_ENTER", at, unique, caller, bridge_id=bridge_id, call=unique, peer=name)))
        facts.append(f.CallAnswered(at=seen(at), call_id=call, agent_id=agent, offer_id=offer))
        if offer is not None:
            facts.append(
                f.OfferEnded(at=facts[-1].at, call_id=call, offer_id=offer, agent_id=agent, end=f.OfferEnd.ANSWERED)
            )
        at = later()
        legs = [(unique, caller, name), (leg, name, caller)]
        if draw(st.booleans()):
            legs.reverse()
            by, source = HangupBy.AGENT, name
        for one, one_name, peer in legs:
            lines.append((at, bridge("BRIDGE_EXIT", at, one, one_name, bridge_id=bridge_id, call=unique, peer=peer)))
        lines.append((at, hangup(at, leg, name, source=source, call=unique)))
        facts.append(f.TalkEnded(at=seen(at), call_id=call, agent_id=agent))
        if draw(st.booleans()):
            now = at  # the caller's leg ends in the same moment
        else:
            later()
    elif survival and draw(st.booleans()):
        at = later()
        lines.append((at, own("CTI_VOICEMAIL", at, unique, caller, f"{unique}.wav", "17")))
        facts.append(f.VoicemailLeft(at=seen(at), call_id=call, path=f"{unique}.wav", seconds=17.0))
        later()
    else:
        later()
    lines.append((now, hangup(now, unique, caller, source=source)))
    end = max(seen(now), max(fact.at for fact in facts if isinstance(fact, f.CallFact) and fact.call_id == call))
    facts.append(f.CallEnded(at=end, call_id=call, hangup_by=by))


def plain(fact: Fact) -> Fact:
    """A fact without what is allowed to differ: its exact time, and whether and by which offer it was seen."""
    if isinstance(fact, f.CallAnswered):
        fact = replace(fact, offer_id=None)
    return replace(fact, at=T0, inferred=False)


def check_legal(facts: list[Fact]) -> None:
    """Every call's facts are moves of the table, with offers settled by answers and ends as the floor does it."""
    states: dict[CallId, CallState] = {}
    for fact in facts:
        assert isinstance(fact, f.CallFact)
        if isinstance(fact, f.CallStarted):
            assert fact.call_id not in states
            states[fact.call_id] = CallState.MENU
            continue
        state = states[fact.call_id]
        if isinstance(fact, f.OfferEnded) and state is CallState.TALKING:
            continue
        assert (state, type(fact)) in CALL_TRANSITIONS, (state, fact)
        states[fact.call_id] = CALL_TRANSITIONS[state, type(fact)]
    assert set(states.values()) <= {CallState.ENDED}


@examples(150, nightly=10_000)
@given(truth=truths(), data=st.data())
def test_any_cut_gives_one_complete_record(truth: Truth, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(truth.facts)), label="facts in the journal")
    journal = list(truth.facts[:cut])
    # The ledger is read whole, or from somewhere before the first event the journal does not have.
    first_unseen = truth.facts[cut].at - JITTER if cut < len(truth.facts) else truth.lines[-1][0] + JITTER
    latest = sum(at < first_unseen for at, _ in truth.lines)
    start = data.draw(st.integers(0, latest), label="lines left out")
    text = "".join(text for _, text in truth.lines[start:])

    events = read_ledger(text.encode()).events
    news = infer_facts(events, known_calls(journal))
    assert all(fact.inferred for fact in news)
    assert infer_facts(events, known_calls([*journal, *news])) == []

    calls = {fact.call_id for fact in truth.facts if isinstance(fact, f.CallFact)}
    for call in calls:
        told = [fact for fact in (*journal, *news) if isinstance(fact, f.CallFact) and fact.call_id == call]
        wanted = [fact for fact in truth.facts if isinstance(fact, SEEN) and fact.call_id == call]
        got = [fact for fact in told if isinstance(fact, SEEN)]
        inserted = [fact for fact in got if isinstance(fact, f.SurvivalEntered) and fact.queue is None]
        got = [fact for fact in got if fact not in inserted]
        # Queueing is only in the journal: a call answered out of a queue nobody wrote down is told as survival.
        assert len(inserted) <= 1
        assert not inserted or not any(isinstance(fact, f.CallQueued) for fact in told)
        assert [plain(fact) for fact in got] == [plain(fact) for fact in wanted]
        assert all(abs(one.at - two.at) <= JITTER for one, two in zip(got, wanted, strict=True))
        check_legal(told)


@examples(50, nightly=2_000)
@given(truth=truths(), data=st.data())
def test_reading_in_pieces_and_adopting_each_gives_the_same(truth: Truth, data: st.DataObject) -> None:
    """The bridge comes back several times; each time it reads from where it stopped, torn lines and all."""
    raw = "".join(text for _, text in truth.lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    journal: list[Fact] = []
    position = 0
    for end in (*cuts, len(raw)):
        read = read_ledger(raw[position:end], offset=position)
        position = read.position
        journal += infer_facts(read.events, known_calls(journal))
    whole = infer_facts(read_ledger(raw).events, {})
    assert sorted(journal, key=repr) == sorted(whole, key=repr)
