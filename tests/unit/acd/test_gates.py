"""The rules of a queue's gates, each alone; and properties of all of them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cti.acd.gates import (
    Doorstep,
    Reason,
    Way,
    admission,
    departures,
    needed_at_last,
    next_limit,
    read_target,
    watched,
    written,
)
from cti.ids import QueueName
from cti.model.centre import Overflow, Queue, Relaxation, Target, TargetKind
from cti.model.facts import AgentState
from cti.model.requirement import parse_requirement

seconds = st.integers(0, 600).map(lambda value: timedelta(seconds=value))
limits = st.none() | st.integers(1, 600).map(lambda value: timedelta(seconds=value))
targets = st.sampled_from(
    [
        Target(kind=TargetKind.VOICEMAIL),
        Target(kind=TargetKind.CALLBACK),
        Target(kind=TargetKind.HANG_UP),
        Target(kind=TargetKind.QUEUE, name="sales"),
        Target(kind=TargetKind.FLOW, name="after_hours"),
        Target(kind=TargetKind.NUMBER, name="+15550100"),
    ]
)
states = st.frozensets(st.sampled_from([state for state in AgentState if state is not AgentState.READY]))
staff = st.frozensets(st.sampled_from(list(AgentState)))
rules = st.one_of(
    st.builds(Overflow, to=targets, after=st.integers(1, 600).map(lambda n: timedelta(seconds=n))),
    st.builds(Overflow, to=targets, expected=st.integers(1, 600).map(lambda n: timedelta(seconds=n))),
    st.builds(Overflow, to=targets, length=st.integers(1, 5)),
)
queues = st.builds(
    Queue,
    name=st.just(QueueName("support")),
    titles=st.just({"en": "Support"}),
    max_length=st.none() | st.integers(1, 5),
    max_wait=limits,
    join_empty=states,
    leave_empty=states,
    when_closed=targets,
    when_full=targets,
    when_late=targets,
    when_empty=targets,
    overflow=st.lists(rules, max_size=4).map(tuple),
)
doorsteps = st.builds(Doorstep, is_open=st.booleans(), length=st.integers(0, 6), staff=staff, wait=st.none() | seconds)


@given(queue=queues, seen=doorsteps)
def test_who_may_join_is_within_every_limit(queue: Queue, seen: Doorstep) -> None:
    way = admission(queue, seen)
    if way is not None:
        return
    assert seen.is_open
    assert queue.max_length is None or seen.length < queue.max_length
    for states_ in (queue.join_empty, queue.leave_empty):
        assert not states_ or (seen.staff and not seen.staff <= states_)
    for rule in queue.overflow:
        assert rule.length is None or seen.length < rule.length
        assert rule.expected is None or (seen.wait is not None and seen.wait <= rule.expected)


@given(queue=queues, seen=doorsteps)
def test_a_shorter_line_never_turns_away_whom_a_longer_one_takes(queue: Queue, seen: Doorstep) -> None:
    longer = Doorstep(is_open=seen.is_open, length=seen.length + 1, staff=seen.staff, wait=seen.wait)
    if admission(queue, longer) is None:
        assert admission(queue, seen) is None


@given(queue=queues, waited=seconds, present=staff)
def test_ways_out_come_exactly_at_the_limits(queue: Queue, waited: timedelta, present: frozenset[AgentState]) -> None:
    """What is due stays due; between now and the next limit time alone changes nothing; at it, something does."""
    now = departures(queue, waited=waited, staff=present)
    limit = next_limit(queue, waited)
    if limit is None:
        assert departures(queue, waited=waited + timedelta(days=1), staff=present) == now
        return
    assert limit > waited
    just_before = departures(queue, waited=limit - timedelta(microseconds=1), staff=present)
    assert just_before == now
    then = departures(queue, waited=limit, staff=present)
    assert set(now) <= set(then)
    assert len(then) > len(now)


@given(queue=queues, waited=seconds, present=staff)
def test_a_queue_that_is_not_watched_lets_nobody_go(
    queue: Queue, waited: timedelta, present: frozenset[AgentState]
) -> None:
    if not watched(queue):
        assert departures(queue, waited=waited, staff=present) == ()


@given(queue=queues, waited=seconds)
def test_who_may_join_does_not_leave_in_the_same_moment(queue: Queue, waited: timedelta) -> None:
    for present in (
        frozenset(),
        frozenset({AgentState.OFFLINE}),
        frozenset({AgentState.NOT_READY, AgentState.TALKING}),
    ):
        seen = Doorstep(length=0, staff=present, wait=timedelta())
        if admission(queue, seen) is None:
            assert departures(queue, waited=timedelta(), staff=present) == ()


@given(target=targets)
def test_a_target_as_the_facts_tell_it_is_read_back(target: Target) -> None:
    assert read_target(written(target)) == target


def test_what_is_no_target_is_none() -> None:
    assert read_target("") is None
    assert read_target("cancelled by ada") is None


def test_closed_comes_before_full_before_empty() -> None:
    queue = Queue(
        name=QueueName("support"),
        titles={},
        max_length=1,
        join_empty=frozenset({AgentState.OFFLINE}),
        when_closed=Target(kind=TargetKind.HANG_UP),
    )
    seen = Doorstep(is_open=False, length=1, staff=frozenset())
    assert admission(queue, seen) == Way(reason=Reason.CLOSED, target=Target(kind=TargetKind.HANG_UP))
    reasons = [
        way.reason for step in (Doorstep(length=1), Doorstep(length=0)) if (way := admission(queue, step)) is not None
    ]
    assert reasons == [Reason.FULL, Reason.EMPTY]


def test_what_is_needed_at_last_goes_through_every_step() -> None:
    queue = Queue(
        name=QueueName("support"),
        titles={},
        skills={"en": 4},
        requires=parse_requirement("zh>=3 or interpreter"),
        relax=(
            Relaxation(after=timedelta(seconds=30), skills={"zh": 1}),
            Relaxation(after=timedelta(seconds=60), skills={"en": 2, "interpreter": 0}),
        ),
    )
    assert needed_at_last(queue, (("tech", 2),), ((),)) == ((("en", 2), ("tech", 2)),)
