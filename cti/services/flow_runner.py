"""The session that walks a flow on one caller's channel."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from cti.clock import Clock, SystemClock
from cti.ids import CallId, FlowName
from cti.ivr import effects as e
from cti.ivr.expression import Value
from cti.ivr.flow import Flow
from cti.ivr.interpreter import FlowState, StepTrace, Turn, advance, come_back, start
from cti.model.centre import Target, TargetKind
from cti.model.facts import DataAttached, FlowStepDone, Match, MessageRecorded, SurveyAnswered
from cti.services.desk import CallOver
from cti.services.flow_library import FlowLibrary
from cti.services.meanwhile import meanwhile
from cti.services.ports import (
    CallDesk,
    CallerLeg,
    FlowCall,
    Functions,
    LegGone,
    LookUp,
    NoServices,
    Played,
    Pressed,
    Services,
)

Next = Literal["wait", "elsewhere", "hangup", "gone"]
"""Where the channel goes after the flow: on to wait for an agent, where the desk says (no queue would have the call), to its
end, or nowhere (the session is over)."""

SHORTEST_MESSAGE = 1.5
"""Seconds. When Asterisk ends a recording because of silence, it leaves the first second of that in the file, so a caller who
says nothing records one."""
MOST_AWAY = 1000
WAV_HEADER, WAV_BYTES_A_SECOND = 44, 16_000


class FlowRunner:
    """Walks flows over callers' channels. One runner serves every call; between sessions it keeps only what a caller who was
    sent to an outside number had said before. Without a folder for recordings, recording fails."""

    def __init__(
        self,
        desk: CallDesk,
        flows: FlowLibrary,
        prompts_dir: Path,
        *,
        clock: Clock | None = None,
        services: Services | None = None,
        functions: Functions | None = None,
        recordings: Path | None = None,
    ) -> None:
        self._desk = desk
        self._recordings = recordings.absolute() if recordings is not None else None
        self._away: OrderedDict[CallId, FlowState] = OrderedDict()
        """Calls that were sent to an outside number and may come back: digits are kept nowhere else."""
        self._flows = flows
        self._services = services or NoServices()
        self._functions = functions or NoServices()
        self._prompts = prompts_dir.absolute()
        self._clock = clock or SystemClock()

    async def run(self, call: FlowCall, leg: CallerLeg) -> Next:
        """Walk the call's flow to its end, or until the session is over.

        When it gives "wait", "elsewhere" or "hangup", every step, and the ticket, is in the journal. Errors of the desk other than
        `CallOver` are raised: the session then ends unfinished and the dialplan takes the caller over.
        """
        if call.finished:
            return "wait"
        flow = self._flows.at(call.edition, draft=call.draft).get(call.flow)
        session = _Session(self, call, leg, flow)
        try:
            return await session.walk()
        except CallOver:
            return "gone"
        finally:
            await session.close()

    def left(self, call_id: CallId, state: FlowState) -> None:
        """The call was sent to an outside number in this state."""
        self._away[call_id] = state
        if len(self._away) > MOST_AWAY:
            self._away.popitem(last=False)

    def take_up(self, call_id: CallId) -> FlowState | None:
        """The state the call left in, once; None where a session of another bridge sent it."""
        return self._away.pop(call_id, None)

    def sound(self, sound: e.Sound) -> str:
        """The path of a sound file, without extension."""
        return str(self._prompts / sound.language / sound.name)


_STATUS: dict[str, Literal["busy", "no_answer", "failure"]] = {"busy": "busy", "no_answer": "no_answer"}


class _Session:
    """One call's walk. What only records (steps, the language) is sent without waiting, so that the next prompt begins
    at once and keys pressed meanwhile find a prompt to stop; it is awaited before the flow queues or ends."""

    def __init__(self, runner: FlowRunner, call: FlowCall, leg: CallerLeg, flow: Flow) -> None:
        self._desk = runner._desk
        self._flows = runner._flows
        self._set = runner._flows.at(call.edition, draft=call.draft)
        """The flows as they were when the call began: a flow it calls is of the same edition."""
        self._services = runner._services
        self._functions = runner._functions
        self._clock = runner._clock
        self._sound = runner.sound
        self._runner = runner
        self._recordings = runner._recordings
        self._call = call
        self._leg = leg
        self._flow = flow
        self._unsettled: list[asyncio.Task[None]] = []
        self._step_began = self._clock.monotonic()

    async def walk(self) -> Next:
        turn = self._begin()
        while True:
            for trace in turn.traces:
                self._record(trace)
            match turn.effect:
                case e.AwaitAgent():
                    await self._settle()
                    return "wait"
                case e.HangUp():
                    await self._settle()
                    await self._desk.flow_finished(self._call.call_id)
                    return "hangup"
                case e.GoElsewhere():
                    await self._settle()
                    return "elsewhere"
                case e.LeaveFlow():
                    await self._settle()
                    return "gone"
                case e.Enqueue():
                    target = await self._enqueue(turn.effect)
                    if target is None:
                        turn = advance(turn.state, e.Done())
                    elif target.kind is TargetKind.FLOW:
                        self._flow = self._set.get(FlowName(target.name))
                        turn = start(self._flow, language=turn.state.scene.language)
                    else:
                        return "elsewhere"
                case _:
                    turn = await self._perform(turn)

    def _begin(self) -> Turn:
        """The flow's beginning, the step it was in, or the step that sent the caller to a number where nobody answered."""
        call, away = self._call, self._runner.take_up(self._call.call_id)
        known: dict[str, Value] = {"caller.number": call.caller_number or "", "call.did": call.did}
        if call.returned and call.resume_at is not None:
            back = e.NotAnswered(status=_STATUS.get(call.returned, "failure"))
            if away is not None:
                return advance(away, back)
            return come_back(self._flow, language=call.language, at=call.resume_at, result=back, known=known)
        return start(self._flow, language=call.language, at=call.resume_at, known=known)

    async def _perform(self, turn: Turn) -> Turn:
        early = ""
        match turn.effect:
            case e.Play():
                result = await self._play(turn.effect)
            case e.AwaitDigit():
                result = await self._await_digit(turn.effect)
            case e.LookUpCustomer():
                found, early = await meanwhile(self._leg, self._desk.look_up_customer(self._call.call_id))
                result = _looked_up(found)
            case e.CallService():
                key = f"{self._call.call_id}/{turn.state.flow.name}/{turn.state.step}/{turn.state.completed}"
                asked = self._services.ask(turn.effect.service, turn.effect.values, key=key)
                answer, early = await meanwhile(self._leg, asked)
                result = e.ServiceAnswered(status=answer.status, body=answer.body)
            case e.SendTo():
                result = await self._send_to(turn.effect.target, turn.state)
            case e.SendToAgent():
                result = await self._send_to_agent(turn.effect.agent, turn.state)
            case e.AskCallback():
                await self._settle()
                result = await self._ask_callback(turn.effect)
            case e.Record():
                result = await self._record_speech(turn.effect, turn.state)
            case e.Attach():
                fact = DataAttached(
                    at=self._clock.now(),
                    call_id=self._call.call_id,
                    flow=turn.state.flow.name,
                    data=tuple(turn.effect.data),
                )
                self._later(self._desk.keep(fact))
                result = e.Done()
            case e.KeepScore():
                self._later(self._desk.keep(self._score(turn.effect, turn.state)))
                result = e.Done()
            case e.FindFlow():
                result = e.FlowFound(flow=self._set.find(turn.effect.flow))
            case e.RunScript():
                await self._settle()
                ended = await self._leg.run_script(turn.effect.script, deadline=turn.effect.deadline)
                result = e.Gone() if isinstance(ended, LegGone) else e.ScriptEnded(status=ended)
            case e.CallFunction():
                seconds = turn.effect.deadline.total_seconds()
                called = self._functions.call(turn.effect.function, turn.effect.values, deadline=seconds)
                answer, early = await meanwhile(self._leg, called)
                result = e.ServiceAnswered(status=answer.status, body=answer.body)
            case e.LookAtClock():
                result = e.ClockSeen(local=self._flows.local(self._clock.now()))
            case e.AskCalendar():
                result = e.CalendarSeen(is_open=self._flows.is_open(turn.effect.calendar, self._clock.now()))
            case e.ChooseLanguage():
                self._later(self._desk.choose_language(self._call.call_id, turn.effect.language))
                result = e.Done()
            case _:
                raise AssertionError("an end, or a place in a queue, is not performed")
        state = turn.state
        if early:
            state = replace(state, scene=replace(state.scene, typed=state.scene.typed + early))
        return advance(state, result)

    async def _send_to(self, target: Target, state: FlowState) -> e.Result:
        await self._settle()
        number = target.kind is TargetKind.NUMBER
        step = (state.resume_at or state.step) if number else ""
        if not await self._desk.send_to(self._call.call_id, target, step=step):
            return e.Sent(ok=False)
        if number:
            self._runner.left(self._call.call_id, state)
        return e.Sent()

    async def _send_to_agent(self, agent: str, state: FlowState) -> e.Result:
        await self._settle()
        status = await self._desk.send_to_agent(self._call.call_id, agent, step=state.resume_at or state.step)
        if status == "sent":
            self._runner.left(self._call.call_id, state)
        return e.AgentAsked(status=status)

    async def _ask_callback(self, asked: e.AskCallback) -> e.Result:
        call_id = self._call.call_id
        if asked.window is None:
            return e.CallbackPromised(ok=await self._desk.ask_callback(call_id, asked.queue, asked.number))
        local = await self._desk.ask_callback_in(call_id, asked.queue, asked.number, asked.window)
        return e.CallbackPromised(ok=local is not None, local=local)

    async def _record_speech(self, record: e.Record, state: FlowState) -> e.Result:
        """Record, and keep what was said as a fact. A caller who hung up while speaking has left it all the same."""
        await self._settle()
        if self._recordings is None:
            return e.Recorded(status="failure")
        file = self._file_for(state)
        outcome = await self._leg.record(
            str(file.with_suffix("")), most=record.most, silence=record.silence, terminators=record.terminators
        )
        if isinstance(outcome, LegGone):
            # Nobody said how much there is: the file does.
            seconds, gone, failed = _seconds_in(file), True, False
        else:
            seconds, gone, failed = outcome.seconds, outcome.gone, outcome.failed
        if failed or seconds < SHORTEST_MESSAGE:
            file.unlink(missing_ok=True)
        else:
            fact = MessageRecorded(
                at=self._clock.now(),
                call_id=self._call.call_id,
                kind=record.kind,
                path=file.name,
                flow=state.flow.name,
                step=state.step,
                seconds=round(seconds, 1),
            )
            self._later(self._desk.keep(fact))
        if gone:
            return e.Gone()
        return e.Recorded(status="failure" if failed else "recorded" if seconds >= SHORTEST_MESSAGE else "empty")

    def _file_for(self, state: FlowState) -> Path:
        """A file that is not there yet. A call may record several times, and again after a restart."""
        folder = self._recordings or Path()
        names = (f"{self._call.call_id}-{state.step}-{number}.wav" for number in itertools.count(1))
        return next(file for name in names if not (file := folder / name).exists())

    def _score(self, kept: e.KeepScore, state: FlowState) -> SurveyAnswered:
        return SurveyAnswered(
            at=self._clock.now(),
            call_id=self._call.call_id,
            flow=state.flow.name,
            step=state.step,
            question=kept.question,
            score=kept.score,
            least=kept.least,
            most=kept.most,
        )

    async def _enqueue(self, enqueue: e.Enqueue) -> Target | None:
        await self._settle()
        return await self._desk.enqueue(
            self._call.call_id,
            enqueue.queue,
            skills=enqueue.skills,
            head_start=enqueue.head_start,
            requires=enqueue.requires,
        )

    async def _play(self, play: e.Play) -> e.Result:
        if not play.sounds:
            return e.Heard()
        match await self._leg.play([self._sound(sound) for sound in play.sounds], interrupt=play.interrupt):
            case Played(digit=digit):
                return e.Heard(digit=digit)
            case _:
                return e.Gone()

    async def _await_digit(self, wait: e.AwaitDigit) -> e.Result:
        began = self._clock.monotonic()
        match await self._leg.digit(wait.timeout):
            case Pressed(digit=digit):
                return e.Key(digit=digit, after=timedelta(seconds=max(0.0, self._clock.monotonic() - began)))
            case LegGone():
                return e.Gone()
            case _:
                return e.Silence()

    def _record(self, trace: StepTrace) -> None:
        now = self._clock.monotonic()
        fact = FlowStepDone(
            at=self._clock.now(),
            call_id=self._call.call_id,
            flow=trace.flow,
            step=trace.step,
            verb=trace.verb,
            result=trace.exit,
            next_step=trace.next_step,
            seconds=round(now - self._step_began, 3),
            choice=trace.choice,
            resume_at=trace.resume_at if trace.next_step is not None or trace.verb == "return" else "",
        )
        self._step_began = now
        self._later(self._desk.step_done(fact))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        # Tasks begin in the order they are made, and the journal keeps the order of the calls.
        self._unsettled.append(asyncio.create_task(work))

    async def _settle(self) -> None:
        """Wait for everything sent; raise the first failure."""
        while self._unsettled:
            await self._unsettled[0]
            self._unsettled.pop(0)

    async def close(self) -> None:
        """End the session with nothing left running. What failed after the first failure is not raised again."""
        await asyncio.gather(*self._unsettled, return_exceptions=True)
        self._unsettled.clear()


def _seconds_in(file: Path) -> float:
    """Of a recording at 8 kHz, 16 bits."""
    try:
        return max(0, file.stat().st_size - WAV_HEADER) / WAV_BYTES_A_SECOND
    except OSError:
        return 0.0


def _looked_up(answer: LookUp) -> e.LookedUp:
    card = answer.cards[0] if answer.match is Match.FOUND and answer.cards else None
    if card is None:
        return e.LookedUp(match=answer.match)
    return e.LookedUp(match=answer.match, tier=card.tier, language=card.language, name=card.name)
