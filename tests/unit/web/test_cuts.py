"""What reaches a supervisor of certain queues, and a wall: folded by a page it is always their part of the whole floor, and no
caller of another queue is in any of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cti.ids import AgentId, CallId, QueueName
from cti.model.facts import AgentState, Direction
from cti.services.floor import AlertRow, CentreRow, Change, FloorView, LinkView
from cti.services.talk_view import PartyView, TalkView
from cti.web.cuts import EVERYTHING, Cut, Cutter, cut_view
from cti.web.views import Mirror
from cti.web.wire import encode
from tests.support.examples import examples
from tests.support.fake_floor import SALES, SUPPORT, VIP, FakeFloor, StandingClock, demo_centre

FLOOR = FakeFloor(demo_centre(), clock=StandingClock())
NOW = FLOOR.clock.now()
QUEUES = (SUPPORT, SALES, VIP)
CALLS = [CallId(f"a1-77.{i}") for i in range(4)]
AGENTS = [AgentId(f"100{i}") for i in (1, 2, 3, 4)]
CUTS = [Cut(queues=frozenset(some), wall=wall) for some in ({SUPPORT}, {SALES, VIP}) for wall in (False, True)]
CUTS.append(Cut(wall=True))


def number(call_id: CallId) -> str:
    return f"+1415555{call_id[-1]}{call_id[-1]}99"


def name(call_id: CallId) -> str:
    return f"Customer <{call_id[-1]}>"


def day(queues: frozenset[QueueName]) -> CentreRow:
    """Figures that say of which queues they are."""
    return CentreRow(
        day_start=NOW, calls=len(queues), live=0, answered=sum(QUEUES.index(one) + 1 for one in queues), abandoned=0,
        service_level=None, longest_wait=0.0, satisfaction=None, rated=0, complaint_rate=None, complaints=0,
        effective_answer_rate=None,
    )  # fmt: skip


def call_row(call_id: CallId, queue: QueueName | None, agent: AgentId | None, mark: int) -> Any:
    return FLOOR.make_call(
        call_id,
        queue=queue,
        agent_id=agent,
        caller_number=number(call_id),
        customer_name=name(call_id),
        choice=str(mark),
    )


def talk(call_id: CallId) -> TalkView:
    caller = PartyView(
        party="caller",
        kind="caller",
        agent_id=None,
        name=name(call_id),
        number=number(call_id),
        state="talking",
        since=NOW,
    )
    return TalkView(
        call_id=call_id, direction=Direction.INBOUND, number=number(call_id), customer_name=name(call_id), state="talking",
        parties=(caller,), consult=None, conference=False, transferred_from=None, note="",
    )  # fmt: skip


@st.composite
def changes(draw: Any) -> Change:
    some = st.sampled_from
    calls = {
        call_id: call_row(call_id, draw(some([*QUEUES, None])), draw(some([*AGENTS, None])), draw(st.integers(0, 9)))
        for call_id in draw(st.sets(some(CALLS), max_size=3))
    }
    agents = {
        agent_id: dataclasses.replace(
            FLOOR.agents[agent_id], state=AgentState.TALKING, call_id=draw(some([*CALLS, None])), calls_today=draw(st.integers(0, 2))
        )
        for agent_id in draw(st.sets(some(AGENTS), max_size=3))
    }  # fmt: skip
    pops = {}
    for agent_id in draw(st.sets(some(AGENTS), max_size=2)):
        call_id = draw(some([*CALLS, None]))
        pops[agent_id] = (
            FLOOR.make_pop(agent_id, call_row(call_id, draw(some(QUEUES)), agent_id, 0), 1) if call_id is not None else None
        )  # fmt: skip
    talks = {
        agent_id: talk(call_id) if (call_id := draw(some([*CALLS, None]))) is not None else None
        for agent_id in draw(st.sets(some(AGENTS), max_size=2))
    }
    alerts: dict[str, AlertRow | None] = {}
    for queue in draw(st.sets(some([*QUEUES, None]), max_size=2)):
        alert = f"{queue or '-'}.waiting"
        alerts[alert] = (draw(st.booleans()) and AlertRow(
            alert=alert, queue=queue, figure="waiting", level="warn", since=NOW, value=draw(st.integers(1, 3)), limit=1,
            acknowledged_by=(seen := draw(some(["", "lena.boss"]))), acknowledged_at=NOW if seen else None,
        )) or None  # fmt: skip
    return Change(
        calls=calls,
        calls_gone=tuple(call for call in draw(st.sets(some(CALLS), max_size=1)) if call not in calls),
        agents=agents,
        agents_gone=tuple(a for a in draw(st.sets(some(AGENTS), max_size=1)) if a not in agents),
        queues={
            q: dataclasses.replace(FLOOR.queues[q], waiting=draw(st.integers(0, 3)))
            for q in draw(st.sets(some(QUEUES)))
        },
        pops=pops,
        withdrawn={agent_id: "expired" for agent_id, pop in pops.items() if pop is None},
        talks=talks,
        link=draw(some([None, LinkView(connected=False, unknown_since=NOW)])),
        centre=draw(some([None, day(frozenset(QUEUES))])),
        alerts=alerts,
    )


class Page:
    """What a page makes of its messages."""

    def __init__(self, view: FloorView) -> None:
        self.parts = {
            part: dict(getattr(view, part)) for part in ("queues", "agents", "calls", "pops", "talks", "alerts")
        }
        self.link, self.centre = view.link, view.centre

    def take(self, change: Change) -> None:
        for part, rows in self.parts.items():
            for key, row in getattr(change, part).items():
                if row is None:
                    assert rows.pop(key) is not None  # nothing is taken back that was not told
                else:
                    rows[key] = row
            for key in getattr(change, f"{part}_gone", ()):
                del rows[key]
        self.link, self.centre = change.link or self.link, change.centre or self.centre

    def shows(self, view: FloorView) -> bool:
        other = Page(view)
        return (self.parts, self.link, self.centre) == (other.parts, other.link, other.centre)


def foreign(cut: Cut, whole: FloorView) -> list[CallId]:
    """Calls that somebody with this cut knows nothing of."""
    ours = {call_id for call_id, row in whole.calls.items() if cut.queues is None or row.queue in cut.queues}
    return [call_id for call_id in whole.calls if cut.wall or call_id not in ours]


@given(history=st.lists(changes(), max_size=10), since=st.integers(0, 5))
@examples(60, nightly=5_000)
def test_a_page_shows_what_is_of_its_queues_and_nobody_else(history: list[Change], since: int) -> None:
    mirror = Mirror.of(FLOOR.view())
    for change in history[:since]:
        mirror.apply(change)
    cutters = {cut: Cutter(cut, mirror, day) for cut in CUTS}
    pages = {cut: Page(cutter.view(NOW)) for cut, cutter in cutters.items()}
    for change in history[since:]:
        mirror.apply(change)
        whole = mirror.view(NOW)
        for cut, page in pages.items():
            told = cutters[cut].change(change)
            if told is not None:
                page.take(told)
                sent = encode(told)
                for call_id in foreign(cut, whole):
                    rest = sent
                    if call_id in told.calls_gone:  # that it is theirs no more is said by its id
                        rest = encode(dataclasses.replace(told, calls_gone=()))
                    for mark in (call_id, number(call_id), name(call_id)):
                        assert mark.encode() not in rest, (cut, told)
            fresh = cut_view(cut, whole, day)
            assert page.shows(fresh)
            assert Page(cutters[cut].view(NOW)).shows(fresh)
            shown = encode(fresh)
            for call_id in foreign(cut, whole):
                assert not any(mark.encode() in shown for mark in (call_id, number(call_id), name(call_id)))
            assert set(fresh.queues) == {q for q in whole.queues if cut.queues is None or q in cut.queues}
            assert all(cut.queues is None or row.queue in cut.queues for row in fresh.alerts.values())
            assert not cut.wall or b"lena.boss" not in shown
            if cut.queues is not None and whole.centre is not None:
                assert fresh.centre == day(cut.queues)


def test_an_agent_of_ours_with_anothers_call_is_busy_elsewhere_until_it_comes_to_us() -> None:
    floor = FakeFloor(demo_centre())
    agent_id, call_id = AgentId("1001"), CALLS[0]  # of support and vip
    busy = dataclasses.replace(floor.agents[agent_id], state=AgentState.TALKING, call_id=call_id)
    theirs, ours = (call_row(call_id, queue, agent_id, 0) for queue in (VIP, SUPPORT))
    mirror = Mirror.of(floor.view())
    cutter = Cutter(Cut(queues=frozenset({SUPPORT})), mirror)

    def told(change: Change) -> Change | None:
        mirror.apply(change)
        return cutter.change(change)

    first = told(Change(agents={agent_id: busy}, calls={call_id: theirs}))
    assert first is not None
    assert not first.calls
    assert first.agents[agent_id] == dataclasses.replace(busy, call_id=None, elsewhere=True)
    assert told(Change(calls={call_id: dataclasses.replace(theirs, choice="2")})) is None
    comes = told(Change(calls={call_id: ours}))
    assert comes is not None
    assert (comes.agents, comes.calls) == ({agent_id: busy}, {call_id: ours})
    goes = told(Change(calls={call_id: theirs}))
    assert goes is not None
    assert goes.calls_gone == (call_id,)
    assert goes.agents[agent_id].elsewhere
    assert AgentId("1003") not in cutter.view(NOW).agents  # sales and vip


def test_figures_of_queues_are_told_anew_when_a_call_comes_or_goes_though_the_centres_own_row_stays() -> None:
    floor = FakeFloor(demo_centre(), clock=StandingClock())
    mirror = Mirror.of(floor.view())
    asked: list[frozenset[QueueName]] = []

    def live(queues: frozenset[QueueName]) -> CentreRow:
        asked.append(queues)
        return dataclasses.replace(day(queues), live=sum(call.queue in queues for call in mirror.calls.values()))

    cuts = [Cut(queues=frozenset({SUPPORT}), wall=wall) for wall in (False, True)]
    cutters = [Cutter(cut, mirror, live) for cut in cuts]

    def told(change: Change) -> list[int | None]:
        asked.clear()
        mirror.apply(change)
        changes_ = [cutter.change(change) for cutter in cutters]
        return [one.centre.live if one is not None and one.centre is not None else None for one in changes_]

    def call(queue: QueueName | None, mark: int = 0) -> Change:
        return Change(calls={CALLS[0]: call_row(CALLS[0], queue, None, mark)})

    assert told(call(None)) == [None, None]
    assert told(call(SUPPORT)) == [1, 1]
    assert told(call(SUPPORT, 1)) == [None, None]  # what changes no figure costs no counting
    assert not asked
    assert told(call(VIP)) == [0, 0]
    assert told(call(SUPPORT)) == [1, 1]
    assert told(Change(calls_gone=(CALLS[0],))) == [0, 0]
    assert told(Change(centre=day(frozenset(QUEUES)))) == [None, None]  # the centre's is another, theirs is not
    assert asked


def test_a_wall_gets_states_and_figures_and_nobodys_name() -> None:
    floor = FakeFloor(demo_centre())
    floor.calls[CALLS[0]] = call_row(CALLS[0], SUPPORT, AgentId("1001"), 0)
    view = cut_view(Cut(wall=True), floor.view())
    assert (set(view.queues), set(view.agents), view.calls) == (set(floor.queues), set(floor.agents), {})
    assert not any(row.name for row in view.agents.values())
    assert cut_view(EVERYTHING, floor.view()).calls == floor.calls
