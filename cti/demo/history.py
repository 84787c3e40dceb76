"""Weeks that a demo centre might have had: the facts of calls that nobody made, so that the reports have something to say.

Pure and seeded: the same centre, moment and seed give the same weeks. A simple model, good enough to look at: callers come as a
Poisson process with the day's and the week's profile; each gives up after an exponential time; agents work shifts with breaks and
take whoever has waited longest for them. `history_file` puts the facts into a journal; from there they go the way of all facts.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cti.ids import AgentId, CallId, CustomerId, FlowName, NodeName, OfferId, QueueName
from cti.model import facts as f
from cti.model.centre import Centre

PROFILE = (2, 5, 9, 13, 15, 14, 11, 10, 13, 15, 14, 11, 9, 7, 5, 3, 2, 1)
"""How the day's callers spread over its hours, from 8:00 on."""
WEEK = (1.15, 1.05, 1.0, 0.98, 0.95, 0.35, 0.2)
CALLS_A_DAY = 130
PATIENCE = 140.0
"""Seconds that a caller waits on average before giving up, if nobody answers."""
MENU = FlowName("main")
CHOICES = {"support": "Support", "sales": "Sales"}
VIP = QueueName("vip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A customer who may call."""

    customer_id: CustomerId
    number: str
    tier: str
    language: str


@dataclass(slots=True)
class _Shift:
    """An agent's day: when there, when free again, and the breaks still to come."""

    agent_id: AgentId
    queues: tuple[QueueName, ...]
    begins: datetime
    ends: datetime
    free: datetime
    breaks: list[tuple[datetime, timedelta, str]] = field(default_factory=list)


def weeks(
    centre: Centre, known: Sequence[Known], until: datetime, *, days: int, node: NodeName, seed: int = 7
) -> Iterator[f.Fact]:
    """The facts of `days` days that ended before `until` (aware), each call's in their order, the days one after the other."""
    rng = random.Random(seed)  # noqa: S311 - invented callers
    zone = ZoneInfo(centre.time_zone)
    today = until.astimezone(zone).date()
    numbers = itertools.count(1)
    for back in range(days, -1, -1):
        day = today - timedelta(days=back)
        morning = datetime.combine(day, time(8), zone).astimezone(UTC)
        for story in _day(centre, known, morning, WEEK[day.weekday()], rng, node, numbers):
            # Of today, what is over by now: nobody is on the line any more.
            if story[-1].at < until:
                yield from story


def _day(
    centre: Centre,
    known: Sequence[Known],
    morning: datetime,
    busy: float,
    rng: random.Random,
    node: NodeName,
    numbers: Iterator[int],
) -> Iterator[list[f.Fact]]:
    """One day: each item is a call's facts, or an agent's of a day."""
    shifts = [_shift(agent_id, agent.queues, morning, busy, rng) for agent_id, agent in centre.agents.items()]
    on = [shift for shift in shifts if shift is not None]
    changes: dict[AgentId, list[f.Fact]] = {
        s.agent_id: [f.AgentChanged(at=s.begins, agent_id=s.agent_id, state=f.AgentState.READY)] for s in on
    }
    # Spells with more callers than usual come and go, as on any floor.
    spell = rng.lognormvariate(0, 0.2)
    at = morning
    calls = []
    while at < morning + timedelta(hours=len(PROFILE) - 4):
        share = PROFILE[int((at - morning) / timedelta(hours=1)) % len(PROFILE)]
        rate = CALLS_A_DAY * busy * spell * share / sum(PROFILE) / 3600
        at += timedelta(seconds=rng.expovariate(rate))
        calls.append(_call(centre, known, at, on, changes, rng, node, next(numbers)))
    for shift in on:
        _take_breaks(shift, shift.ends, changes[shift.agent_id])
        gone = max(shift.ends, shift.free)
        changes[shift.agent_id].append(f.AgentChanged(at=gone, agent_id=shift.agent_id, state=f.AgentState.OFFLINE))
    yield from changes.values()
    yield from calls


def _shift(
    agent_id: AgentId, queues: tuple[QueueName, ...], morning: datetime, busy: float, rng: random.Random
) -> _Shift | None:
    """Who comes: fewer at weekends; half begin at eight, some at ten, the others towards two."""
    if rng.random() > min(0.93, 0.3 + 0.65 * busy):
        return None
    begins = morning + timedelta(hours=rng.choice((0, 0, 2, 5.9)), minutes=rng.uniform(-8, 6))
    shift = _Shift(agent_id=agent_id, queues=queues, begins=begins, ends=begins + timedelta(hours=8.2), free=begins)
    for hour, minutes, reason in ((2, 12, "break"), (4, 32, "lunch"), (6, 13, "break")):
        away = timedelta(minutes=minutes * rng.uniform(0.8, 1.35))
        shift.breaks.append((begins + timedelta(hours=hour + rng.uniform(-0.5, 0.5)), away, reason))
    if rng.random() < 0.2:
        shift.breaks.insert(2, (begins + timedelta(hours=5), timedelta(minutes=rng.uniform(25, 50)), "meeting"))
    return shift


def _take_breaks(shift: _Shift, at: datetime, changes: list[f.Fact]) -> None:
    """Breaks that were due by `at` are taken as soon as the agent is free."""
    while shift.breaks and shift.breaks[0][0] <= at:
        due, away, reason = shift.breaks.pop(0)
        begins = max(due, shift.free)
        changes.append(f.AgentChanged(at=begins, agent_id=shift.agent_id, state=f.AgentState.NOT_READY, reason=reason))
        shift.free = begins + away
        changes.append(f.AgentChanged(at=shift.free, agent_id=shift.agent_id, state=f.AgentState.READY))


def _call(
    centre: Centre,
    known: Sequence[Known],
    at: datetime,
    on: Sequence[_Shift],
    changes: Mapping[AgentId, list[f.Fact]],
    rng: random.Random,
    node: NodeName,
    number: int,
) -> list[f.Fact]:
    """One call from its beginning to its end."""
    call_id = CallId(f"{node}-{int(at.timestamp())}.{9_000_000 + number}")
    who = rng.choice(known) if known and rng.random() < 0.7 else None
    queue = QueueName("sales" if rng.random() < 0.3 else "support")
    if who is not None and who.tier == "vip" and VIP in centre.queues and rng.random() < 0.6:
        queue = VIP
    if queue not in centre.queues:
        queue = next(iter(centre.queues))
    language = who.language if who else rng.choice(("en", "en", "en", "zh"))
    caller = who.number if who else f"+1555020{rng.randrange(10_000):04d}"
    did = next((n for n, one in centre.numbers.items() if one.flow == MENU), next(iter(centre.numbers)))
    facts: list[f.Fact] = [
        f.CallStarted(at=at, call_id=call_id, node=node, caller_number=caller, did=did, channel=f"PJSIP/trunk-{number:08x}"),
        f.FlowEntered(at=at, call_id=call_id, flow=MENU, version="1"),
        f.CustomerMatched(
            at=at,
            call_id=call_id,
            match=f.Match.FOUND if who else f.Match.UNKNOWN,
            customer_id=who.customer_id if who else None,
            tier=who.tier if who else "",
        ),
    ]  # fmt: skip

    def step(name: str, verb: str, result: str, then: str | None, seconds: float, choice: str = "") -> None:
        facts.append(
            f.FlowStepDone(
                at=at, call_id=call_id, flow=MENU, step=name, verb=verb, result=result, next_step=then,
                seconds=round(seconds, 2), choice=choice,
            )
        )  # fmt: skip

    menu = "known" if who else "stranger"
    at += timedelta(seconds=0.1)
    step("who", "look_up_customer", "found" if who else "unknown", menu, 0.1)
    listened = rng.uniform(4, 19)
    at += timedelta(seconds=listened)
    if rng.random() < 0.06:
        step(menu, "menu", "gone", None, listened)
        facts.append(f.CallEnded(at=at, call_id=call_id, hangup_by=f.HangupBy.CALLER))
        return facts
    if rng.random() < 0.07:
        step(menu, "menu", "3", "hours", listened, "Opening hours")
        at += timedelta(seconds=12)
        step("hours", "say", "done", menu, 12)
        facts.append(f.FlowFinished(at=at, call_id=call_id))
        facts.append(f.CallEnded(at=at, call_id=call_id, hangup_by=f.HangupBy.CALLER))
        return facts
    goes = "support" if queue == VIP else str(queue)
    step(menu, "menu", "2" if queue == "sales" else "1", goes, listened, CHOICES.get(goes, ""))
    facts.append(f.LanguageChosen(at=at, call_id=call_id, language=language))
    facts.append(f.CallQueued(at=at, call_id=call_id, queue=queue))
    left = at + timedelta(seconds=rng.expovariate(1 / PATIENCE))
    able = [shift for shift in on if queue in shift.queues and shift.begins <= left and shift.ends > at]
    for shift in able:
        _take_breaks(shift, max(at, shift.free), changes[shift.agent_id])
    soonest = min(able, key=lambda shift: max(shift.free, shift.begins, at), default=None)
    offered = max(soonest.free, soonest.begins, at) if soonest is not None else None
    if soonest is None or offered is None or offered >= min(left, soonest.ends):
        facts.append(f.CallEnded(at=left, call_id=call_id, hangup_by=f.HangupBy.CALLER))
        return facts
    _talk(facts, call_id, queue, soonest, offered, number, centre, rng)
    return facts


def _talk(
    facts: list[f.Fact],
    call_id: CallId,
    queue: QueueName,
    shift: _Shift,
    at: datetime,
    number: int,
    centre: Centre,
    rng: random.Random,
) -> None:
    """Offered, answered, perhaps held, ended, worked after, perhaps asked how it was."""
    agent, offer = shift.agent_id, OfferId(number)
    # Each agent has a way of working: some are quicker, some are liked better.
    way = random.Random(str(agent))  # noqa: S311 - as above
    pace, liked = way.uniform(0.8, 1.3), way.uniform(-0.5, 0.5)
    device = f.Device.BROWSER
    facts.append(
        f.OfferMade(at=at, call_id=call_id, offer_id=offer, agent_id=agent, queue=queue, device=device,
                    deadline=at + centre.queues[queue].ring_timeout)
    )  # fmt: skip
    facts.append(f.OfferRang(at=at + timedelta(seconds=0.3), call_id=call_id, offer_id=offer, agent_id=agent))
    at += timedelta(seconds=rng.uniform(1.5, 6))
    facts.append(f.OfferEnded(at=at, call_id=call_id, offer_id=offer, agent_id=agent, end=f.OfferEnd.ANSWERED))
    facts.append(f.CallAnswered(at=at, call_id=call_id, agent_id=agent, offer_id=offer))
    talk = min(1500.0, rng.lognormvariate(5.25, 0.55) * pace)
    if rng.random() < 0.18:
        held = at + timedelta(seconds=talk * 0.4)
        facts.append(f.CallHeld(at=held, call_id=call_id, agent_id=agent))
        facts.append(f.CallRetrieved(at=held + timedelta(seconds=talk * 0.2), call_id=call_id, agent_id=agent))
    at += timedelta(seconds=talk)
    facts.append(f.TalkEnded(at=at, call_id=call_id, agent_id=agent))
    ended = at
    if rng.random() < 0.22:
        for question in ("solved", "friendly"):
            ended += timedelta(seconds=rng.uniform(6, 12))
            score = min(5, max(1, round(rng.gauss(4.1 + liked, 0.9))))
            facts.append(
                f.SurveyAnswered(
                    at=ended, call_id=call_id, flow=FlowName("survey"), step="questions", question=question, score=score
                )
            )
    by = f.HangupBy.CALLER if ended > at or rng.random() < 0.6 else f.HangupBy.AGENT
    facts.append(f.CallEnded(at=ended, call_id=call_id, hangup_by=by))
    wrap = at + timedelta(seconds=min(centre.queues[queue].wrap_up.total_seconds(), rng.uniform(6, 40)))
    outcome = (
        rng.choice(centre.queues[queue].dispositions) if rng.random() < 0.5 else centre.queues[queue].dispositions[0]
    )
    facts.append(f.WrapUpEnded(at=max(wrap, ended), call_id=call_id, agent_id=agent, disposition=outcome))
    shift.free = max(wrap, ended)
