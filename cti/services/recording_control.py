"""Recordings of live calls: begun and ended by rule or by hand, paused and resumed. `services.recordings.RecordingControl`.

What is claimed was done: a pause is a fact only after Asterisk has said that it writes silence. Asterisk keeps a pause without
us, so a bridge that dies during one leaves the recording silent. Its successor leaves it so until somebody resumes it, or the
longest pause has passed again: a restart never ends a pause early.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from cti.clock import Clock
from cti.errors import CtiError, RemoteError
from cti.ids import AgentId, CallId, ChannelName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.fact import Fact
from cti.model.recording_commands import BeginRecording, EndRecording, PauseRecording, RecordingCommand
from cti.model.recording_facts import RecordingHalted, RecordingPaused, RecordingResumed
from cti.model.recording_rule import RecordWhen
from cti.services import recording_choice
from cti.services.floor import Refused
from cti.services.ports import Journal, Telephony
from cti.services.recordings import Act, LiveFiles, RecordingNow, Why
from cti.services.switchboard import Switchboard

log = structlog.get_logger(__name__)

BEGIN_WITHIN = 1.5
"""Seconds from the answer in which the dialplan's recording must have begun; after that it is begun from here."""
PROOF_WITHIN = 3.0
"""Seconds for the word that it has begun."""
LOOK = 0.5
"""Seconds between looks at pauses that may have lasted long enough."""


@dataclass(slots=True)
class _State:
    on: bool = False
    by_hand: bool = False
    paused: bool = False
    until: datetime | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while it is on."""


class RecordingDesk:
    """See the module. `live` names a call's files; `limit` is the longest pause, None: until it is resumed; `missing` hears of a recording that cannot be begun."""

    def __init__(
        self,
        board: Switchboard,
        telephony: Telephony,
        journal: Journal,
        clock: Clock,
        *,
        live: Callable[[CallId], LiveFiles],
        limit: timedelta | None,
        told: Callable[[Sequence[Fact], datetime], None] = lambda _facts, _now: None,
        missing: Callable[[CallId], Awaitable[None]] | None = None,
    ) -> None:
        self._board = board
        self._telephony = telephony
        self._journal = journal
        self._clock = clock
        self._live = live
        self._limit = limit
        self._told = told
        self._missing = missing
        self._calls: dict[CallId, _State] = {}
        self._turns: dict[CallId, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- what happens --------------------------------------------------------------------------------------------------

    def recover(self, facts: Iterable[Fact]) -> None:
        """Before `run`: what the journal tells."""
        for fact in facts:
            self._take(fact)
        now = self._clock.now()
        for state in self._calls.values():
            if state.paused and self._limit is not None:
                state.until = now + self._limit

    def observe(self, facts: Sequence[Fact], now: datetime) -> None:
        """These facts were recorded a moment ago."""
        for fact in facts:
            self._take(fact)
            if isinstance(fact, f.CallAnswered):
                self._spawn(self._follow_rule(fact.call_id, fact.agent_id))
            elif isinstance(fact, f.DataAttached) and recording_choice.consent(self._board, fact.call_id) is False:
                self._spawn(self._refused(fact.call_id))

    def _take(self, fact: Fact) -> None:
        match fact:
            case f.RecordingStarted():
                state = self._calls.setdefault(fact.call_id, _State())
                state.on = True
                state.begun.set()
            case RecordingPaused():
                self._calls.setdefault(fact.call_id, _State()).paused = True
            case RecordingResumed():
                state = self._calls.setdefault(fact.call_id, _State())
                state.paused, state.until = False, None
            case RecordingHalted():
                state = self._calls.setdefault(fact.call_id, _State())
                state.on, state.paused, state.until = False, False, None
                state.begun.clear()
            case f.CallEnded():
                self._calls.pop(fact.call_id, None)
                self._turns.pop(fact.call_id, None)
            case _:
                pass

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except CtiError as error:
            log.warning("recording_rule_not_followed", error=error.message)
        except Exception:
            log.exception("recording_rule_failed")

    async def _follow_rule(self, call_id: CallId, agent_id: AgentId) -> None:
        """A talk began: what the dialplan could not know is put right, and what it should have begun is."""
        call = self._board.calls.get(call_id)
        if call is None:
            return
        state = self._calls.setdefault(call_id, _State())
        rule = recording_choice.rule(self._board, call.queue, (agent_id,))
        consent = recording_choice.consent(self._board, call_id)
        if state.on and not state.by_hand and (consent is False or rule.when is RecordWhen.NEVER):
            async with self._turn(call_id):
                await self._end(call_id, by="")
            return
        if state.on or not rule.wants(call_id, consent):
            return
        await asyncio.sleep(BEGIN_WITHIN)
        if state.on or not self._talks(call_id):
            return
        async with self._turn(call_id):
            with contextlib.suppress(RemoteError):
                await self._begin(call_id)
        if not state.on and self._talks(call_id) and self._missing is not None:
            await self._missing(call_id)

    async def _refused(self, call_id: CallId) -> None:
        state = self._calls.get(call_id)
        if state is not None and state.on:
            async with self._turn(call_id):
                await self._end(call_id, by="")

    def _talks(self, call_id: CallId) -> bool:
        call = self._board.calls.get(call_id)
        return call is not None and call.state in (CallState.TALKING, CallState.HELD)

    # -- what is asked -------------------------------------------------------------------------------------------------

    def now(self, call_id: CallId) -> RecordingNow:
        """See `RecordingControl.now`."""
        call = self._call(call_id)
        state = self._calls.get(call_id, _State())
        rule = recording_choice.rule(self._board, call.queue, call.talkers)
        return RecordingNow(
            call_id=call_id,
            recording=state.on,
            paused=state.on and state.paused,
            paused_until=state.until if state.paused else None,
            on_demand=rule.by_hand(recording_choice.consent(self._board, call_id)),
            agents=call.talkers,
            queue=call.queue,
        )

    async def act(self, call_id: CallId, act: Act, *, by: str, why: Why = "person") -> RecordingNow:
        """See `RecordingControl.act`."""
        self._call(call_id)
        async with self._turn(call_id):
            state = self._calls.setdefault(call_id, _State())
            if act == "start":
                await self._start(call_id, state)
            elif act == "stop":
                if state.on:
                    await self._end(call_id, by=by)
            elif not state.on:
                raise Refused("not_recording", "this call is not being recorded", remedy="begin the recording first")
            elif act == "pause" and not state.paused:
                await self._perform(PauseRecording(call_id=call_id, channel=self._channel(call_id), on=True))
                state.until = self._clock.now() + self._limit if self._limit is not None else None
                await self._record(self._paused(call_id, by=by, why=why))
            elif act == "resume" and state.paused:
                await self._perform(PauseRecording(call_id=call_id, channel=self._channel(call_id), on=False))
                await self._record(self._resumed(call_id, self._clock.now(), by=by, why=why))
        return self.now(call_id)

    async def _start(self, call_id: CallId, state: _State) -> None:
        if state.on:
            return
        if recording_choice.consent(self._board, call_id) is False:
            raise Refused("caller_refused", "the caller does not want to be recorded", remedy="ask the caller again")
        if not self.now(call_id).on_demand:
            raise Refused(
                "not_on_demand", "calls of this queue may not be recorded by hand", remedy="see `record` of the queue"
            )
        state.by_hand = True
        await self._begin(call_id)
        if not state.on:
            raise RemoteError("Asterisk has not begun the recording", remedy="try again")

    async def _begin(self, call_id: CallId) -> None:
        state = self._calls.setdefault(call_id, _State())
        caller, others = (file.absolute() for file in self._live(call_id).files)
        await self._perform(
            BeginRecording(
                call_id=call_id, channel=self._channel(call_id), caller_file=str(caller), others_file=str(others)
            )
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROOF_WITHIN):
                await state.begun.wait()

    async def _end(self, call_id: CallId, *, by: str) -> None:
        await self._perform(EndRecording(call_id=call_id, channel=self._channel(call_id)))
        await self._record(RecordingHalted(at=self._clock.now(), call_id=call_id, by=by))

    async def _perform(self, command: RecordingCommand) -> None:
        await self._telephony.perform(command)

    async def _record(self, fact: RecordingPaused | RecordingResumed | RecordingHalted) -> None:
        self._take(fact)
        self._board.supervision.fact(fact)  # nobody listens to what must not be kept
        self._told([fact], fact.at)
        await self._journal.append([fact])

    def _paused(self, call_id: CallId, *, by: str, why: Why) -> RecordingPaused:
        written = self._live(call_id).seconds()
        return RecordingPaused(at=self._clock.now(), call_id=call_id, by=by, why=why, written=round(written, 2))

    def _resumed(self, call_id: CallId, now: datetime, *, by: str, why: str) -> RecordingResumed:
        written = self._live(call_id).seconds()
        return RecordingResumed(at=now, call_id=call_id, by=by, why=why, written=round(written, 2))

    def _call(self, call_id: CallId) -> Call:
        call = self._board.calls.get(call_id)
        if call is None:
            raise Refused("unknown_call", "there is no such live call", remedy="it may be over")
        return call

    def _channel(self, call_id: CallId) -> ChannelName:
        return self._call(call_id).channel

    def _turn(self, call_id: CallId) -> asyncio.Lock:
        return self._turns.setdefault(call_id, asyncio.Lock())

    # -- time ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """End pauses that have lasted as long as they may; for ever."""
        try:
            while True:
                await asyncio.sleep(LOOK)
                await self.tick(self._clock.now())
        finally:
            for task in list(self._tasks):
                task.cancel()

    async def tick(self, now: datetime) -> None:
        """What is due by the passing of time."""
        for call_id, state in list(self._calls.items()):
            if not state.paused or state.until is None or state.until > now or call_id not in self._board.calls:
                continue
            async with self._turn(call_id):
                await self._go_on(call_id, now)

    async def _go_on(self, call_id: CallId, now: datetime) -> None:
        state = self._calls.get(call_id)
        if state is None or not state.paused:
            return
        try:
            await self._perform(PauseRecording(call_id=call_id, channel=self._channel(call_id), on=False))
        except CtiError as error:
            log.warning("recording_stays_paused", call_id=call_id, error=error.message)
            state.until = now + timedelta(seconds=5)
            return
        await self._record(self._resumed(call_id, now, by="", why="limit"))
