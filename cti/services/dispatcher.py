"""The one owner: a single task that takes every input in order, moves the switchboard, and performs what it asks.

Theory of operation. Inputs (signals, requests, look-up answers) go into one inbox. Each turn: handle the inputs that are
there, each at the clock's `now`, up to the first that asks for a command; append the turn's facts to the journal *in order,
at once*; hand its commands to a task of their own that first waits until those facts are durable (or, for commands that mean
nothing without the call, in the file: `WITH_THE_CALL`); publish changed rows. No lock, because nobody else touches the
switchboard; no lost order, because `Journal.append` keeps the order of its calls. Requests get their answer when their
facts are durable; those of flows, in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog

from cti.clock import Clock
from cti.errors import CtiError, RemoteError
from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.model import facts as f
from cti.model import signals as s
from cti.model.call import CallState
from cti.model.centre import Centre, Queue
from cti.model.commands import (
    Command,
    Deliver,
    EnterRoom,
    HoldCaller,
    HoldParty,
    ReturnToWait,
    SetQueue,
)
from cti.model.dial_commands import Resume
from cti.model.facts import Match
from cti.reports.counted import Counted
from cti.services import (
    call_control,
    callbacks,
    live_centre,
    not_done,
    reconcile,
    supervision_watch,
    timers,
    tolls,
)
from cti.services.audit import Audit
from cti.services.decisions import DecisionLog
from cti.services.desk_requests import DeskRequests
from cti.services.floor import AgentRow, CentreRow, Change, FloorView, LinkView
from cti.services.floor_requests import FloorRequests
from cti.services.line_requests import LineRequests
from cti.services.ports import Directory, FlowEditions, Journal, LookUp, Telephony
from cti.services.reconcile import Ledger, NoLedger
from cti.services.rows import Rows
from cti.services.subscribers import Subscribers
from cti.services.supervision_requests import SupervisionRequests
from cti.services.switchboard import Out, Switchboard
from cti.services.talk_requests import TalkRequests

T = TypeVar("T")
log = structlog.get_logger(__name__)

PUBLISH_EVERY = 0.05
"""Seconds within which changes are gathered into one message. Screen pops do not wait for it."""
LEDGER_PAUSES = (0.0, 0.2, 0.4)
"""Seconds before each reading of the ledger: Asterisk writes it a little late under load, so a call that is gone without a
word is looked up again before it is closed without one."""
WITH_THE_CALL = (Deliver, ReturnToWait, SetQueue, Resume, HoldCaller, EnterRoom, HoldParty)
"""Commands that move a live call and promise nobody anything: they wait until their facts are in the journal's file, not until
the disk has them. The bridge's end loses nothing of that; a power cut takes the call as well."""
LOOK_AGAIN, LOOK_SELDOM = 1.0, 30.0
"""Seconds after which a customer file that did not answer is asked again for a live call: at first, and at the longest."""
STEPS_OF_A_POP = 3
"""Turns of the event loop that a screen pop takes to its desk (feed, its encoding, its sending): the owner's next turn waits
for them, or each would come after one."""
MOST_INPUTS = 32
"""Inputs of one turn at most. What a turn costs besides them (the journal's write, the audit, the timers) costs the same for
one as for many; so the busier it is, the less each costs."""


class Dispatcher(DeskRequests, FloorRequests, TalkRequests, LineRequests, SupervisionRequests):
    """Owner of the floor. Satisfies `Floor` (for the web) and `CallDesk` (for flows)."""

    def __init__(
        self,
        centre: Centre,
        *,
        node: NodeName,
        journal: Journal,
        telephony: Telephony,
        directory: Directory,
        clock: Clock,
        ledger: Ledger | None = None,
        flows: FlowEditions | None = None,
        normalise: Callable[[str | None], str | None] = lambda number: number,
        observe: Callable[[Sequence[f.Fact], datetime], None] = lambda _facts, _now: None,
    ) -> None:
        self.board = Switchboard(centre, node=node, now=clock.now(), flows=flows, normalise=normalise)
        self._journal = journal
        self._telephony = telephony
        self._directory = directory
        self._clock = clock
        self._ledger = ledger or NoLedger()
        self._observe = observe
        self._rows = Rows(self.board)
        self._audit = Audit(self.board)
        self.decisions = DecisionLog(self.board, clock)
        self._explained: list[f.Decided] = []
        self._inbox: asyncio.Queue[Callable[[], Awaitable[None] | None]] = asyncio.Queue()
        self.board.supervision.wake = lambda: self._put(lambda: None)
        self._subscribers = Subscribers()
        self._look_ups: dict[CallId, asyncio.Task[LookUp]] = {}
        self._lost_at: datetime | None = None
        """When the link to the telephone system went last."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[Callable[[], None], bool]] = []
        """Of this turn's requests, to be given when its facts are durable; or (True) in the journal's file."""
        self._publish_at: float | None = None
        self._ticked = False
        """Whether the last turn was one of time."""
        self.on_retired: Callable[[], None] = lambda: None
        """Told when a queue or an agent that was taken out of the centre earlier is needed no more."""

    # -- life ----------------------------------------------------------------------------------------------------

    def recover(self, facts: Sequence[f.Fact]) -> None:
        """Before `run`: rebuild the floor from the journal. Nobody is offered before a snapshot says who is still there."""
        self.board.recover(facts, self._clock.now())
        self.board.engine.hold()
        self.decisions.remember(facts)
        self._rows.change(self._clock.now())
        for call in self.board.calls.values():
            self._start_look_up(call.call_id, call.caller_number)

    def remember(self, rows: Sequence[Counted], *, last: bool = True) -> None:
        """What the reports have of today: calls that ended before the journal's memory are counted too."""

        def add() -> None:
            self.board.tally.remember(rows, last=last)
            self.board.begin_counting(self._clock.now())

        self._put(add)

    async def run(self) -> None:
        """Own the floor until cancelled."""
        try:
            while True:
                action = await self._next()
                if action is not None:
                    await self._take(action)
                else:
                    self._keep_explained()
                    timers.tick(self.board, self._clock.now())
                self._attend()
                self._settle()
                out = self._perform()
                popped = self._publish()
                self._explain(out, self._clock.now())
                if popped:
                    for _ in range(STEPS_OF_A_POP):
                        await asyncio.sleep(0)
        finally:
            self._keep_explained()
            for task in [*self._tasks, *self._look_ups.values()]:
                task.cancel()
            self._subscribers.end()

    async def _take(self, action: Callable[[], Awaitable[None] | None]) -> None:
        """Handle an input and those that stood behind it by then, up to the first that asks for a command."""
        left = min(self._inbox.qsize(), MOST_INPUTS - 1)
        while True:
            try:
                pending = action()
                if pending is not None:
                    self._explain(self._perform(), self._clock.now())
                    await pending
                    return
            except Exception:
                log.exception("dispatcher_input_failed")
            if left <= 0 or self.board.out.commands or self._inbox.empty():
                return
            left -= 1
            action = self._inbox.get_nowait()

    async def _next(self) -> Callable[[], Awaitable[None] | None] | None:
        due = timers.next_due(self.board, self._clock.now())
        delay = 1.0 if due is None else min(1.0, max(0.0, (due - self._clock.now()).total_seconds()))
        # What time alone does takes turns with inputs: neither waits until the other has nothing left.
        self._ticked = delay == 0.0 and not self._ticked
        if self._ticked:
            return None
        if self._publish_at is not None:
            delay = min(delay, max(0.0, self._publish_at - self._clock.monotonic()))
        try:
            if not self._inbox.empty():
                # However much comes in: commands whose facts are durable by now leave between two turns.
                await asyncio.sleep(0)
                return self._inbox.get_nowait()
            async with asyncio.timeout(delay):
                return await self._inbox.get()
        except TimeoutError:
            return None

    def _perform(self) -> Out:
        """Make the turn's facts durable, in order, then carry its commands out. Gives what the turn asked for."""
        now = self._clock.now()
        self._check(now)
        out, self.board.out = self.board.out, Out()
        for call_id, number in out.look_ups:
            self._start_look_up(call_id, number)
        durable: asyncio.Future[None] | None = None
        if out.facts:
            # One write for both: explanations of earlier turns cost no disk sync of their own.
            explained, self._explained = self._explained, []
            durable = asyncio.ensure_future(self._journal.append([*out.facts, *explained]))
            durable.add_done_callback(_report_journal)
            self._observe(out.facts, now)
            for fact in out.facts:
                if isinstance(fact, f.CallEnded):
                    self._look_ups.pop(fact.call_id, None)
        in_file = durable is None or self._journal.written()
        if out.commands:
            enough = in_file and all(isinstance(command, WITH_THE_CALL) for command in out.commands)
            self._spawn(self._command(None if enough else durable, out.commands))
        answers, self._answers = self._answers, []
        for give, file_is_enough in answers:
            if durable is None or (in_file and file_is_enough):
                give()
            else:
                durable.add_done_callback(partial(_after, give))
        return out

    def _check(self, now: datetime) -> None:
        """See that the books add up. A fault in the audit itself must not stop the floor."""
        try:
            self._audit.turn(now)
        except Exception:
            log.exception("audit_failed")

    def _explain(self, out: Out, now: datetime) -> None:
        """Write down why. Behind the facts that matter: no command and no answer waits for what only explains. It goes to
        the journal with the next turn's facts, or when there is nothing else to do."""
        try:
            self._explained += self.decisions.turn(out.facts, out.offers, now)
        except Exception:
            log.exception("decision_not_written")

    def _keep_explained(self) -> None:
        explained, self._explained = self._explained, []
        if explained:
            asyncio.ensure_future(self._journal.append(explained)).add_done_callback(_report_journal)

    async def _command(self, durable: asyncio.Future[None] | None, commands: Sequence[Command]) -> None:
        # A full disk must not stop calls: after the wait we go on, and the journal says loudly that it is behind.
        if durable is not None:
            with contextlib.suppress(CtiError, TimeoutError):
                await asyncio.wait_for(asyncio.shield(durable), 2.0)
        for command in commands:
            if not not_done.still_wanted(self.board, command):
                continue
            try:
                await self._telephony.perform(command)
            except RemoteError as error:
                log.warning("command_failed", command=type(command).__name__, error=error.message)
                after = not_done.look_again if error.outcome_unknown else not_done.take_back
                self._put(partial(self._not_done, after, command))

    def _not_done(self, after: Callable[[Switchboard, Command, datetime], bool], command: Command) -> None:
        after(self.board, command, self._clock.now())

    def _attend(self) -> None:
        """What looks at the floor after every turn: callbacks whose turn has come, supervisors' parts in calls."""
        for attend in (callbacks.attend, supervision_watch.attend):
            try:
                attend(self.board, self._clock.now())
            except Exception:
                log.exception("not_attended", what=attend.__module__)

    # -- inputs --------------------------------------------------------------------------------------------------

    def deliver(self, signal: s.Signal) -> None:
        """Inbox for signals: never blocks, keeps order. Given to the telephony adapter."""
        self._put(lambda: self._signal(signal))

    def _put(self, action: Callable[[], Awaitable[None] | None]) -> None:
        self._inbox.put_nowait(action)

    def _signal(self, signal: s.Signal) -> Awaitable[None] | None:
        now = self._clock.now()
        if isinstance(signal, s.LinkLost):
            self.board.linked = False
            self.board.engine.hold()
            self._lost_at = signal.at
            self._rows.link(LinkView(connected=False, unknown_since=signal.at))
        elif isinstance(signal, s.Snapshot):
            return self._adopt(signal)
        else:
            call_control.handle_signal(self.board, signal, now)
        return None

    async def _adopt(self, snapshot: s.Snapshot) -> None:
        # The ledger frees agents; who waits, and can be sent to them, only the snapshot tells.
        self.board.engine.hold()
        try:
            await self._agree(snapshot)
        finally:
            if not snapshot.gone:
                self.board.release_offers(self._clock.now())

    async def _agree(self, snapshot: s.Snapshot) -> None:
        dead = reconcile.dead_before(snapshot, self._lost_at)
        # Of an Asterisk that just ended nothing more is written, and what it carried ended now, not at its last line.
        pauses, died_unseen = (LEDGER_PAUSES[:1], None) if snapshot.gone else (LEDGER_PAUSES, dead)
        for pause in pauses:
            await asyncio.sleep(pause)
            try:
                missed = await self._ledger.missed(self.board, asterisk_started_at=died_unseen)
            except (OSError, ValueError) as error:
                log.error("ledger_unreadable", error=str(error))
                break
            taken = reconcile.adopt_ledger(self.board, missed, self._clock.now())
            log.info("ledger_adopted", facts=taken)
            if not reconcile.unexplained(self.board, snapshot, dead):
                break
        reconcile.adopt_snapshot(self.board, snapshot, self._clock.now(), dead=dead)
        tolls.adopt(self.board, snapshot, self._clock.now())
        if snapshot.gone:
            log.warning("calls_of_ended_asterisk_closed", left=len(self.board.calls))
            return
        self.board.linked = True
        self._rows.link(LinkView(connected=True, unknown_since=None))
        log.info("snapshot_adopted", channels=len(snapshot.channels), calls=len(self.board.calls))

    def _start_look_up(self, call_id: CallId, number: str | None, *, again: float = LOOK_AGAIN) -> asyncio.Task[LookUp]:
        task = self._look_ups.get(call_id)
        if task is None:
            task = asyncio.create_task(self._directory.look_up(number))
            self._look_ups[call_id] = task
            task.add_done_callback(lambda done: self._looked_up(call_id, done, again))
        return task

    def _looked_up(self, call_id: CallId, task: asyncio.Task[LookUp], again: float) -> None:
        if task.cancelled():
            return
        failed = task.exception() is not None
        answer = LookUp(match=Match.UNAVAILABLE) if failed else task.result()
        self._put(lambda: self.board.know_customer(call_id, answer, self._clock.now()))
        if answer.match is Match.UNAVAILABLE:
            # The call goes on without the card; a card that comes late is still worth seeing.
            asyncio.get_running_loop().call_later(again, self._look_again, call_id, min(2 * again, LOOK_SELDOM))

    def _look_again(self, call_id: CallId, again: float) -> None:
        call = self.board.calls.get(call_id)
        if call is not None:
            self._look_ups.pop(call_id, None)
            self._start_look_up(call_id, call.caller_number, again=again)

    # -- requests ------------------------------------------------------------------------------------------------

    async def _ask(self, action: Callable[[datetime], T], *, in_file: bool = False) -> T:
        """See `DeskRequests._ask`."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def turn() -> None:
            recorded = len(self.board.out.facts)
            try:
                result = action(self._clock.now())
            except CtiError as error:
                if not answer.done():
                    answer.set_exception(error)
                return
            if len(self.board.out.facts) > recorded:
                self._answers.append((partial(_set, answer, result), in_file))
            else:
                _set(answer, result)

        self._put(turn)
        return await answer

    async def look_up_customer(self, call_id: CallId) -> LookUp:
        """See `CallDesk.look_up_customer`."""
        call = self.board.calls.get(call_id)
        answer = await asyncio.shield(self._start_look_up(call_id, call.caller_number if call else None))
        if call_id not in self.board.cards:
            # One turn of the owner later the answer is part of the call.
            await self._ask(lambda _now: None)
        return answer

    def may_wait(self, call_id: CallId) -> bool:
        """See `CallDesk.may_wait`."""
        call = self.board.calls.get(call_id)
        return call is not None and call.state in (CallState.WAITING, CallState.OFFERED)

    def queue_of(self, call_id: CallId) -> Queue | None:
        """The queue a live call has a ticket of, None without one."""
        call = self.board.calls.get(call_id)
        return self.board.centre.queues.get(call.queue) if call is not None and call.queue is not None else None

    def promised(self, fact: f.WaitPromised) -> None:
        """A waiting caller was told how long it may take."""

        def keep() -> None:
            if self.may_wait(fact.call_id):
                self.board.record(fact)

        self._put(keep)

    async def configure(self, centre: Centre, *, version: str, by: str) -> Sequence[str]:
        """From now on this is the centre (see `live_centre`). Gives what changed, in plain words."""
        return await self._ask(lambda now: live_centre.configure(self.board, centre, now, version=version, by=by))

    def _settle(self) -> None:
        try:
            if live_centre.settle(self.board, self._clock.now()):
                self.on_retired()
        except Exception:
            log.exception("centre_not_settled")

    # -- what is shown -------------------------------------------------------------------------------------------

    def view(self) -> FloorView:
        """See `Floor.view`."""
        return self._rows.view(self._clock.now())

    def agent_row(self, agent_id: AgentId) -> AgentRow | None:
        """See `Floor.agent_row`."""
        return self._rows.agent(agent_id)

    def centre_of(self, queues: Collection[QueueName]) -> CentreRow:
        """The day's figures of certain queues, for those who see no others."""
        return self._rows.centre_of(queues, self._clock.now())

    def changes(self) -> AsyncIterator[Change]:
        """See `Floor.changes`. Subscribed from this call on, not from the first step of the iterator."""
        return self._subscribers.add()

    def _publish(self) -> bool:
        """Tell what has changed, when it is time. Gives whether a screen pop was among it."""
        if not self._rows.pending():
            return False
        now = self._clock.monotonic()
        if self._publish_at is None:
            self._publish_at = now + PUBLISH_EVERY
        if now < self._publish_at:
            change = self._rows.urgent() if self.board.dirty_pops else None
        else:
            self._publish_at = None
            change = self._rows.change(self._clock.now())
        if change is None:
            return False
        self._subscribers.tell(change)
        return bool(change.pops)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _after(give: Callable[[], None], _durable: asyncio.Future[None]) -> None:
    give()


def _set(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _report_journal(durable: asyncio.Future[None]) -> None:
    if not durable.cancelled() and (error := durable.exception()) is not None:
        log.error("journal_append_failed", error=str(error))
