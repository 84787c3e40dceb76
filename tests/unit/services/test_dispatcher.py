"""The owner's task: order, durability before deeds, answers, subscribers. The journal and the telephone system are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cti.errors import RemoteError
from cti.ids import AgentId, CallId, ChannelName, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.commands import Command, Deliver, HangUp
from cti.model.facts import AgentState, Device, FlowStepDone, Match
from cti.services import dispatcher as module
from cti.services import subscribers
from cti.services.dispatcher import Dispatcher
from cti.services.floor import Change, Refused
from cti.services.ports import CustomerCard, LookUp
from cti.services.switchboard import Switchboard
from tests.support.floor_rig import centre

ADA = AgentId("1001")


class FakeClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class FakeJournal:
    """Keeps what it is given; durable when `flush` is called, or at once."""

    def __init__(self) -> None:
        self.facts: list[f.Fact] = []
        self.writes: list[Sequence[f.Fact]] = []
        self.at_once = True
        self.in_file = False
        self._waiting: list[asyncio.Future[None]] = []

    def append(self, facts: Sequence[f.Fact]) -> asyncio.Future[None]:
        self.facts += facts
        self.writes.append(facts)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.at_once:
            future.set_result(None)
        else:
            self._waiting.append(future)
        return future

    def written(self) -> bool:
        return self.at_once or self.in_file

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)


class FakeTelephony:
    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.refuse: RemoteError | None = None

    def connected(self) -> bool:
        return True

    async def perform(self, command: Command) -> None:
        self.commands.append(command)
        if self.refuse is not None:
            raise self.refuse


class FakeDirectory:
    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()
        self.answer.set()

    async def look_up(self, number: str | None) -> LookUp:
        self.asked += 1
        await self.answer.wait()
        card = CustomerCard(customer_id=1, name="Zoë", tier="vip", language="en", phones=(), company="", notes="")
        return LookUp(match=Match.FOUND, cards=(card,))


class Rig:
    def __init__(self) -> None:
        self.journal, self.telephony, self.directory = FakeJournal(), FakeTelephony(), FakeDirectory()
        self.dispatcher = Dispatcher(
            centre(),
            node=NodeName("t1"),
            journal=self.journal,
            telephony=self.telephony,
            directory=self.directory,
            clock=FakeClock(),
        )

    @property
    def board(self) -> Switchboard:
        return self.dispatcher.board

    async def until(self, fits: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not fits():  # noqa: ASYNC110 - it gives way to the owner's task, no time passes
                await asyncio.sleep(0)

    async def ready(self) -> None:
        now = datetime.now(UTC)
        self.dispatcher.deliver(
            s.DeviceReachable(at=now, agent_id=ADA, device=Device.SIP, reachable=True, in_use=False)
        )
        await self.dispatcher.set_agent(ADA, AgentState.READY)

    async def caller(self, number: int = 1) -> CallId:
        call_id = CallId(f"t1-1.{number}")
        await self.dispatcher.caller_arrived(
            call_id, channel=f"PJSIP/trunk-{number}", number="+15550100001", did="5000"
        )
        return call_id

    async def waiting(self, number: int = 1) -> CallId:
        call_id = await self.caller(number)
        await self.dispatcher.enqueue(call_id, QueueName("support"), skills=(), head_start=timedelta())
        channel = ChannelName(f"PJSIP/trunk-{number}")
        self.dispatcher.deliver(s.WaitEntered(at=datetime.now(UTC), call_id=call_id, channel=channel))
        return call_id


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    task = asyncio.create_task(rig.dispatcher.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_command_is_given_only_when_the_offer_is_on_the_disk(rig: Rig) -> None:
    await rig.ready()
    rig.journal.at_once = False
    waiting = asyncio.create_task(rig.waiting())
    while not any(isinstance(x, f.OfferMade) for x in rig.journal.facts):
        before = len(rig.journal.facts)
        await rig.until(lambda n=before: len(rig.journal.facts) > n)  # type: ignore[misc]
        assert rig.telephony.commands == []
        if not any(isinstance(x, f.OfferMade) for x in rig.journal.facts):
            rig.journal.flush()
    assert rig.telephony.commands == []
    rig.journal.flush()
    await rig.until(lambda: bool(rig.telephony.commands))
    (command,) = rig.telephony.commands
    assert isinstance(command, Deliver)
    assert command.agent_id == ADA
    rig.journal.at_once = True
    rig.journal.flush()
    await waiting


async def test_what_only_moves_a_call_waits_for_the_file_and_promises_wait_for_the_disk(rig: Rig) -> None:
    await rig.ready()
    rig.journal.at_once, rig.journal.in_file = False, True
    await rig.waiting()  # a flow's requests are answered when they are in the file
    await rig.until(lambda: bool(rig.telephony.commands))
    assert [type(command) for command in rig.telephony.commands] == [Deliver]
    rig.board.out.commands.append(HangUp(channel=ChannelName("PJSIP/trunk-1")))
    ready = asyncio.create_task(rig.dispatcher.set_agent(AgentId("1002"), AgentState.READY))
    await rig.until(lambda: rig.board.agents[AgentId("1002")].state is AgentState.READY)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not ready.done()
    assert len(rig.telephony.commands) == 1
    rig.journal.flush()
    await ready
    await rig.until(lambda: len(rig.telephony.commands) == 2)


async def test_a_request_is_answered_when_it_is_durable(rig: Rig) -> None:
    rig.journal.at_once = False
    request = asyncio.create_task(rig.dispatcher.set_agent(ADA, AgentState.READY))
    await rig.until(lambda: len(rig.journal.facts) == 1)
    assert not request.done()
    rig.journal.flush()
    await request


async def test_a_refused_request_raises_and_changes_nothing(rig: Rig) -> None:
    with pytest.raises(Refused) as refused:
        await rig.dispatcher.finish_wrap_up(ADA, CallId("t1-1.1"))
    assert refused.value.error_id == "no_wrap_up"
    assert rig.journal.facts == []


async def test_the_queue_waits_for_the_directory_because_the_tier_sets_the_place(rig: Rig) -> None:
    rig.directory.answer.clear()
    waiting = asyncio.create_task(rig.waiting())
    await rig.until(lambda: rig.directory.asked == 1)
    assert not any(isinstance(x, f.CallQueued) for x in rig.journal.facts)
    rig.directory.answer.set()
    await waiting
    (queued,) = [x for x in rig.journal.facts if isinstance(x, f.CallQueued)]
    assert queued.head_start == 600
    assert rig.directory.asked == 1


async def test_a_refused_delivery_frees_the_agent_for_the_next_caller(rig: Rig) -> None:
    await rig.ready()
    rig.telephony.refuse = RemoteError("no such channel")
    await rig.waiting(1)
    await rig.until(lambda: any(isinstance(x, f.OfferEnded) for x in rig.journal.facts))
    assert rig.board.agents[ADA].state is AgentState.READY
    rig.telephony.refuse = None
    second = await rig.waiting(2)
    await rig.until(lambda: rig.board.agents[ADA].offer_call == second)


async def test_a_delivery_of_unknown_outcome_is_not_repeated(rig: Rig) -> None:
    await rig.ready()
    rig.telephony.refuse = RemoteError("no answer in time", outcome_unknown=True)
    call_id = await rig.waiting()
    await rig.until(lambda: len(rig.telephony.commands) == 1)
    await rig.dispatcher.set_agent(AgentId("1002"), AgentState.NOT_READY, reason="lunch")
    assert len(rig.telephony.commands) == 1
    assert rig.board.agents[ADA].offer_call == call_id


async def test_a_subscriber_misses_nothing_between_view_and_changes(rig: Rig) -> None:
    view, changes = rig.dispatcher.view(), rig.dispatcher.changes()
    assert view.calls == {}
    call_id = await rig.caller()
    seen: set[CallId] = set()
    async with asyncio.timeout(60):
        async for change in changes:
            seen |= set(change.calls)
            if call_id in seen:
                break


async def test_a_subscriber_too_slow_is_let_go_and_harms_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "SUBSCRIBER_QUEUE", 2)
    monkeypatch.setattr(module, "PUBLISH_EVERY", 0.0)
    slow, quick = rig.dispatcher.changes(), rig.dispatcher.changes()
    got: list[Change] = []

    async def read() -> None:
        async for change in quick:
            got.append(change)

    reader = asyncio.create_task(read())
    for number in range(1, 8):
        await rig.caller(number)
        await rig.until(lambda n=number: len({c for change in got for c in change.calls}) == n)  # type: ignore[misc]
    async with asyncio.timeout(60):
        left = [change async for change in slow]
    assert len(left) <= 2
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)


async def test_what_fails_inside_does_not_end_the_owner(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    broke: list[object] = []

    def broken(*args: object) -> None:
        broke.append(args)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(module.call_control, "handle_signal", broken)
    rig.dispatcher.deliver(s.WaitEntered(at=datetime.now(UTC), call_id=CallId("t1-1.1"), channel=ChannelName("x")))
    await rig.caller()
    assert len(broke) == 1
    assert len(rig.board.calls) == 1


async def test_steps_of_a_call_that_is_over_are_refused(rig: Rig) -> None:
    step = FlowStepDone(
        at=datetime.now(UTC), call_id=CallId("t1-9.9"), flow="main", step="a", verb="say", result="done"
    )  # type: ignore[arg-type]
    with pytest.raises(Exception, match="not live"):
        await rig.dispatcher.step_done(step)


async def test_a_pop_goes_out_at_once_and_the_rows_that_cost_follow(rig: Rig) -> None:
    await rig.ready()
    changes = rig.dispatcher.changes()
    call_id = await rig.waiting()
    seen: list[Change] = []
    async with asyncio.timeout(60):
        async for change in changes:
            seen.append(change)
            if any(row.state == "offered" for row in change.calls.values()):
                break
    popped = next(change for change in seen if change.pops)
    assert popped.pops[ADA].call_id == call_id  # type: ignore[union-attr]
    assert popped.agents[ADA].state is AgentState.RESERVED
    assert not popped.queues


async def test_commands_leave_between_two_inputs(rig: Rig) -> None:
    await rig.ready()
    await rig.waiting()
    await rig.until(lambda: bool(rig.board.out.commands or rig.telephony.commands))
    given: list[int] = []

    def one() -> None:
        given.append(len(rig.telephony.commands))
        if len(given) < 50:
            rig.dispatcher._put(one)

    rig.dispatcher._put(one)
    await rig.until(lambda: len(given) == 50)
    assert given[-1] == 1


async def test_time_and_inputs_take_turns(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    monkeypatch.setattr(module.timers, "next_due", lambda _board, now: now)
    monkeypatch.setattr(module.timers, "tick", lambda _board, _now: order.append("time"))
    monkeypatch.setattr(module, "MOST_INPUTS", 1)
    for number in range(5):
        rig.dispatcher._put(lambda n=number: order.append(n))  # type: ignore[misc]
    await rig.until(lambda: 4 in order)
    began = order.index(0)
    assert order[began : began + 9] == [0, "time", 1, "time", 2, "time", 3, "time", 4]


async def test_inputs_that_are_there_together_share_a_write_up_to_the_first_command(rig: Rig) -> None:
    await rig.ready()
    call_id = await rig.caller()
    await rig.dispatcher.enqueue(call_id, QueueName("support"), skills=(), head_start=timedelta())
    rig.journal.writes.clear()
    now, channel = datetime.now(UTC), ChannelName("PJSIP/trunk-1")
    languages = [asyncio.create_task(rig.dispatcher.choose_language(call_id, tag)) for tag in ("zh", "en")]
    await asyncio.sleep(0)
    rig.dispatcher.deliver(s.WaitEntered(at=now, call_id=call_id, channel=channel))
    last = asyncio.create_task(rig.dispatcher.choose_language(call_id, "zh"))
    await asyncio.gather(*languages, last)
    kinds = [[type(fact) for fact in write if not isinstance(fact, f.Decided)] for write in rig.journal.writes]
    assert [kind for kind in kinds if kind] == [[f.LanguageChosen, f.LanguageChosen, f.OfferMade], [f.LanguageChosen]]


async def test_an_answer_waits_for_what_it_recorded_and_for_nothing_else(rig: Rig) -> None:
    call_id = await rig.caller()
    rig.journal.at_once = False
    recorded = asyncio.create_task(rig.dispatcher.choose_language(call_id, "zh"))
    nothing = asyncio.create_task(rig.dispatcher.choose_language(call_id, "zh"))
    refused = asyncio.create_task(rig.dispatcher.finish_wrap_up(ADA, call_id))
    async with asyncio.timeout(60):
        await asyncio.wait([nothing, refused])
    assert nothing.exception() is None
    assert isinstance(refused.exception(), Refused)
    assert not recorded.done()
    rig.journal.flush()
    await recorded


async def test_what_explains_an_offer_goes_to_the_journal_behind_the_next_facts(rig: Rig) -> None:
    await rig.ready()
    call_id = await rig.waiting()
    await rig.until(lambda: bool(rig.telephony.commands))
    offered = next(fact for fact in rig.journal.facts if isinstance(fact, f.OfferMade))
    told = [fact for fact in rig.dispatcher.decisions.facts_of(call_id) if isinstance(fact, f.Decided)]
    assert [(fact.offer_id, fact.agents) for fact in told] == [(offered.offer_id, (ADA,))]
    assert not any(isinstance(fact, f.Decided) for fact in rig.journal.facts)
    await rig.dispatcher.choose_language(call_id, "zh")
    assert [type(fact) for fact in rig.journal.facts[-2:]] == [f.LanguageChosen, f.Decided]
    assert rig.dispatcher.decisions.present(call_id) is None


async def test_a_wait_that_was_told_is_kept_while_the_caller_waits(rig: Rig) -> None:
    call_id = await rig.waiting()
    fact = f.WaitPromised(
        at=datetime.now(UTC),
        call_id=call_id,
        queue=QueueName("support"),
        place=1,
        low=1.0,
        mean=5.0,
        high=9.0,
        told=True,
    )
    rig.dispatcher.promised(fact)
    await rig.until(lambda: fact in rig.journal.facts)
    late = replace(fact, call_id=CallId("t1-9.9"))
    rig.dispatcher.promised(late)
    await rig.dispatcher.choose_language(call_id, "zh")
    assert late not in rig.journal.facts


def found(number: int, call_id: CallId) -> s.LiveChannel:
    """The channel of a caller in the wait context."""
    return s.LiveChannel(
        channel=ChannelName(f"PJSIP/trunk-{number}"),
        unique_id=call_id,
        call_id=call_id,
        offer_id=None,
        agent_id=None,
        device=None,
        context="cti-wait-run",
        state="Up",
        bridge_id=None,
        queue=QueueName("support"),
        caller_number="+15550100001",
        did="5000",
        seconds=10,
    )


async def test_nobody_is_offered_before_it_is_known_who_waits_and_then_the_first_of_them(rig: Rig) -> None:
    first = await rig.caller(1)
    await rig.dispatcher.enqueue(first, QueueName("support"), skills=(), head_start=timedelta())
    rig.dispatcher.deliver(s.LinkLost(at=datetime.now(UTC)))
    # The second one's arrival in the wait context was seen, the first one's was not; then an agent becomes free.
    second = await rig.waiting(2)
    await rig.ready()
    assert not [fact for fact in rig.journal.facts if isinstance(fact, f.OfferMade)]
    now = datetime.now(UTC)
    rig.dispatcher.deliver(
        s.Snapshot(at=now, asked_at=now, channels=(found(2, second), found(1, first)), devices=(), restarted=False)
    )
    await rig.until(lambda: any(isinstance(fact, f.OfferMade) for fact in rig.journal.facts))
    (offer,) = [fact for fact in rig.journal.facts if isinstance(fact, f.OfferMade)]
    assert offer.call_id == first


async def test_a_started_bridge_offers_nobody_before_the_first_snapshot() -> None:
    rig = Rig()
    rig.dispatcher.recover([])
    task = asyncio.create_task(rig.dispatcher.run())
    try:
        await rig.ready()
        call_id = await rig.waiting()
        assert not [fact for fact in rig.journal.facts if isinstance(fact, f.OfferMade)]
        now = datetime.now(UTC)
        rig.dispatcher.deliver(
            s.Snapshot(at=now, asked_at=now, channels=(found(1, call_id),), devices=(), restarted=False)
        )
        await rig.until(lambda: any(isinstance(fact, f.OfferMade) for fact in rig.journal.facts))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_calls_of_an_asterisk_that_ended_are_closed_at_once_and_nobody_is_offered_without_it(rig: Rig) -> None:
    await rig.ready()
    talking, waiting = await rig.waiting(1), await rig.waiting(2)
    await rig.until(lambda: any(isinstance(command, Deliver) for command in rig.telephony.commands))
    began = datetime.now(UTC)
    rig.dispatcher.deliver(s.LinkLost(at=began))
    rig.dispatcher.deliver(s.Snapshot(at=datetime.now(UTC), channels=(), devices=(), restarted=True, gone=True))
    await rig.until(lambda: not rig.board.calls)
    ends = [fact for fact in rig.journal.facts if isinstance(fact, f.CallEnded)]
    assert {fact.call_id for fact in ends} == {talking, waiting}
    assert all(fact.inferred and fact.hangup_by is f.HangupBy.SYSTEM and fact.at >= began for fact in ends)
    assert rig.board.agents[ADA].state is AgentState.READY
    assert not rig.dispatcher.view().link.connected
    assert not rig.board.linked
    # Whoever comes now (a session that was on its way) is not offered to anybody before there is an Asterisk.
    late = await rig.waiting(3)
    await rig.until(lambda: rig.board.calls[late].state.value == "waiting")
    assert late not in {fact.call_id for fact in rig.journal.facts if isinstance(fact, f.OfferMade)}
    rig.dispatcher.deliver(s.Snapshot(at=datetime.now(UTC), channels=(), devices=(), restarted=True))
    await rig.until(lambda: rig.dispatcher.view().link.connected)
    assert len([fact for fact in rig.journal.facts if isinstance(fact, f.CallEnded) and fact.call_id == talking]) == 1
