"""The day of certain queues: the same figures over their rows, and those of all queues together add up to the centre's."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cti.ids import CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model.facts import HangupBy
from cti.services.centre_row import CentreFigures
from cti.services.switchboard import Switchboard
from cti.services.tally import Tally
from tests.support.examples import examples
from tests.support.floor_rig import BEGIN, centre

CENTRE = centre()
QUEUES = sorted(CENTRE.queues)
AGENT = sorted(CENTRE.agents)[0]


def facts(number: int, queue: QueueName, after: int, waited: int, answered: bool) -> list[f.Fact]:
    call_id, at = CallId(f"t1-7.{number}"), BEGIN + timedelta(seconds=after)
    end = at + timedelta(seconds=waited)
    told: list[f.Fact] = [
        f.CallStarted(at=at, call_id=call_id, node=NodeName("t1"), caller_number="+15550100001"),
        f.CallQueued(at=at, call_id=call_id, queue=queue),
    ]
    if answered:
        told.append(f.CallAnswered(at=end, call_id=call_id, agent_id=AGENT))
        end += timedelta(seconds=30)
        told.append(f.TalkEnded(at=end, call_id=call_id, agent_id=AGENT))
    return [*told, f.CallEnded(at=end, call_id=call_id, hangup_by=HangupBy.CALLER)]


CALLS = st.lists(
    st.tuples(st.sampled_from(QUEUES), st.integers(0, 7000), st.integers(1, 300), st.booleans()), max_size=12
)


@given(calls=CALLS, some=st.sets(st.sampled_from(QUEUES)))
@examples(40, nightly=2000)
def test_parts_add_up_and_each_is_what_its_calls_alone_would_be(
    calls: list[tuple[QueueName, int, int, bool]], some: set[QueueName]
) -> None:
    now = BEGIN + timedelta(hours=3)
    whole, alone = Tally(CENTRE, BEGIN), Tally(CENTRE, BEGIN)
    for number, (queue, after, waited, answered) in enumerate(calls):
        whole.close(facts(number, queue, after, waited, answered))
        if queue in some:
            alone.close(facts(number, queue, after, waited, answered))
    total, slots = whole.by_queue.of(some, now)
    assert (total.sums, total.longest) == (alone.total.sums, alone.total.longest)
    assert slots == alone.series.until(now)
    assert whole.by_queue.of(QUEUES, now)[0] == whole.total


def test_the_row_of_certain_queues_and_a_new_day() -> None:
    board = Switchboard(CENTRE, node=NodeName("t1"), now=BEGIN)
    first, second = QUEUES[:2]
    board.tally.close(facts(1, first, 0, 5, True))
    board.tally.close(facts(2, second, 0, 400, False))
    figures = CentreFigures(board)
    row = figures.of({first}, BEGIN + timedelta(hours=1))
    assert (row.calls, row.answered, row.abandoned, row.longest_wait) == (1, 1, 0, 5.0)
    assert (row.complaint_rate, "complaint_rate" in row.series) == (None, False)
    assert len(row.series["calls"]) == len(row.series["longest_wait"]) > 0
    assert figures.of({first, second}, BEGIN).calls == 2
    assert figures.of(set(), BEGIN).calls == 0
    tomorrow = BEGIN + timedelta(days=1)
    assert board.tally.roll(tomorrow)
    assert figures.of({first, second}, tomorrow).calls == 0
