"""An agent's feed, folded by the agent's page, is always the agent's part of the whole floor, and never more."""

from hypothesis import given
from hypothesis import strategies as st

from cti.ids import AgentId, CallId
from cti.services.floor import Change, LinkView
from cti.web.views import Mirror, agent_view, shared
from tests.support.examples import examples
from tests.support.fake_floor import FakeFloor, StandingClock, demo_centre

FLOOR = FakeFloor(demo_centre(), clock=StandingClock())
CALLS = [CallId(f"a1-1.{i}") for i in range(4)]
AGENTS = [AgentId(f"100{i}") for i in (1, 2, 3)]


def row(call_id, agent_id, mark):
    return FLOOR.make_call(call_id, agent_id=agent_id, choice=str(mark))


@st.composite
def changes(draw):
    holders = st.one_of(st.none(), st.sampled_from(AGENTS))
    mark = draw(st.integers(0, 99))
    calls = {c: row(c, draw(holders), mark) for c in draw(st.sets(st.sampled_from(CALLS), max_size=3))}
    pops = {
        a: draw(st.sampled_from([None, FLOOR.make_pop(a, row(CALLS[0], a, 0), mark)]))
        for a in draw(st.sets(st.sampled_from(AGENTS), max_size=2))
    }
    return Change(
        calls=calls,
        calls_gone=tuple(draw(st.lists(st.sampled_from(CALLS), max_size=2, unique=True))),
        agents={a: FLOOR.agents[a] for a in draw(st.sets(st.sampled_from(AGENTS), max_size=2))},
        queues={q: FLOOR.queues[q] for q in draw(st.sets(st.sampled_from(sorted(FLOOR.queues)), max_size=1))},
        pops=pops,
        withdrawn={a: "expired" for a, pop in pops.items() if pop is None},
        link=draw(st.sampled_from([None, LinkView(connected=False, unknown_since=FLOOR.clock.now())])),
    )


class Page:
    """What a page makes of its messages: rows replace rows, ids in `*_gone` disappear."""

    def __init__(self, view):
        self.calls, self.pops, self.agents = dict(view.calls), dict(view.pops), dict(view.agents)
        self.queues, self.link = dict(view.queues), view.link

    def take(self, change):
        self.calls.update(change.calls)
        for call_id in change.calls_gone:
            self.calls.pop(call_id, None)
        for agent_id, pop in change.pops.items():
            self.pops.pop(agent_id, None) if pop is None else self.pops.update({agent_id: pop})
        self.agents.update(change.agents)
        self.queues.update(change.queues)
        self.link = change.link or self.link

    def same_as(self, view):
        return (self.calls, self.pops, self.agents, self.queues, self.link) == (
            view.calls,
            view.pops,
            view.agents,
            view.queues,
            view.link,
        )


@given(st.lists(changes(), max_size=12))
@examples(50, nightly=5_000)
def test_an_agents_page_shows_the_agents_part_of_the_floor(history):
    now = FLOOR.clock.now()
    mirror = Mirror.of(FLOOR.view())
    whole = Page(FLOOR.view())
    pages = {agent_id: Page(agent_view(FLOOR.view(), agent_id)) for agent_id in AGENTS}
    for change in history:
        personal = mirror.apply(change)
        whole.take(change)
        common = shared(change)
        for agent_id, page in pages.items():
            told = personal.get(agent_id, common)
            if told is not None:
                assert set(told.agents) | set(told.pops) | set(told.withdrawn) <= {agent_id}
                assert all(call.agent_id == agent_id for call in told.calls.values())
                page.take(told)
        view = mirror.view(now)
        assert whole.same_as(view)
        for agent_id, page in pages.items():
            assert page.same_as(agent_view(view, agent_id))
            assert page.same_as(mirror.view_of(agent_id, now))


def test_a_call_that_rings_at_several_is_everybodys_own_until_one_has_it():
    floor = FakeFloor(demo_centre())
    mirror = Mirror.of(floor.view())
    a, b, c = (AgentId(extension) for extension in ("1001", "1002", "1003"))
    rings = floor.make_call("a1-1.1", state="offered", agent_id=a, ringing=(a, b))
    told = mirror.apply(Change(calls={rings.call_id: rings}))
    assert set(told) == {a, b}
    assert told[b].calls == {rings.call_id: rings}
    now = floor.clock.now()
    assert mirror.view_of(b, now).calls == agent_view(mirror.view(now), b).calls == {rings.call_id: rings}
    talks = floor.make_call("a1-1.1", state="talking", agent_id=b)
    told = mirror.apply(Change(calls={rings.call_id: talks}))
    assert told[a].calls_gone == (rings.call_id,)
    assert told[b].calls == {rings.call_id: talks}
    assert c not in told
    assert mirror.apply(Change(calls_gone=(rings.call_id,)))[b].calls_gone == (rings.call_id,)
    assert mirror.view_of(b, now).calls == {}
