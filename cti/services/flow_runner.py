"""Flows that live: the library of checked flows, and the session that walks one flow on one caller's channel."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from cti.clock import Clock, SystemClock
from cti.errors import ConfigError
from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.checker import check_flow, live
from cti.ivr.expression import Value
from cti.ivr.flow import Flow
from cti.ivr.interpreter import StepTrace, Turn, advance, start
from cti.ivr.parser import parse_flow
from cti.ivr.problems import Problem
from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.model.centre import Centre, Target, TargetKind
from cti.model.facts import FlowStepDone, Match
from cti.services.desk import CallOver
from cti.services.ports import CallDesk, CallerLeg, FlowCall, LegGone, LookUp, NoServices, Played, Pressed, Services

Next = Literal["wait", "elsewhere", "hangup", "gone"]
"""Where the channel goes after the flow: on to wait for an agent, where the desk says (no queue would have the call), to its
end, or nowhere (the session is over)."""

MANIFEST = "prompts.yaml"


class FlowLibrary:
    """The flows of one folder, each in its live version. Versions are kept: a call stays on the one it began with."""

    def __init__(self, folder: Path, centre: Centre, prompts: PromptBook) -> None:
        self.folder = folder
        self.prompts = prompts
        self._centre = centre
        self._live: dict[FlowName, Flow] = {}
        self._versions: dict[tuple[FlowName, str], Flow] = {}

    @classmethod
    def load(cls, folder: Path, centre: Centre) -> FlowLibrary:
        """Read, check and take live every flow of `folder` (`*.yaml`; `prompts.yaml` is the manifest).

        Raises `ConfigError` with every problem found, also when a number or a queue of the centre names a flow
        that is not there.
        """
        library, problems = cls.check(folder, centre)
        if not live(problems) or library is None:
            raise ConfigError(
                "\n".join(str(problem) for problem in problems if not live([problem])),
                remedy="mend these and start again; `cti flow check` shows them all",
                problems=problems,
            )
        for number in centre.numbers.values():
            if number.flow not in library._live:
                raise ConfigError(
                    f'the number {number.did} leads to the flow "{number.flow}", which is not in {folder}',
                    remedy=f"flows there: {', '.join(sorted(library._live))}",
                )
        for queue in centre.queues.values():
            for target in queue.targets():
                if target.kind is TargetKind.FLOW and target.name not in library._live:
                    raise ConfigError(
                        f'the queue {queue.name} sends callers to the flow "{target.name}", which is not in {folder}',
                        remedy=f"flows there: {', '.join(sorted(library._live))}",
                    )
        return library

    @classmethod
    def check(cls, folder: Path, centre: Centre) -> tuple[FlowLibrary | None, list[Problem]]:
        """Read and check without raising: the library of the flows that passed (None without a manifest), problems."""
        manifest = folder / MANIFEST
        prompts = parse_prompts(_text(manifest), str(manifest))
        if isinstance(prompts, list):
            return None, prompts
        library = cls(folder, centre, prompts)
        return library, library.reload()

    def reload(self) -> list[Problem]:
        """Take changed files live. A file with an error changes nothing: the version that runs stays. Gives problems."""
        problems: list[Problem] = []
        for file in sorted(self.folder.glob("*.yaml")):
            if file.name == MANIFEST:
                continue
            flow = parse_flow(_text(file), str(file))
            if isinstance(flow, list):
                problems += flow
                continue
            found = check_flow(flow, self._centre, self.prompts)
            problems += found
            if live(found):
                # The same text twice is the same version, and the value already running stays the one.
                self._live[flow.name] = self._versions.setdefault((flow.name, flow.version), flow)
        return problems

    def problems_with(self, centre: Centre) -> list[Problem]:
        """What would be wrong with the flows that run if this were the centre."""
        return [problem for flow in self._live.values() for problem in check_flow(flow, centre, self.prompts)]

    def use(self, centre: Centre) -> None:
        """From now on flows are held against this centre."""
        self._centre = centre

    def get(self, name: FlowName, version: str | None = None) -> Flow:
        """A flow in its live version, or in the version named while it is known. Raises `ConfigError`."""
        flow = self._live.get(name) if version is None else self._versions.get((name, version))
        if flow is None:
            raise ConfigError(
                f'there is no flow "{name}"' + (f" in version {version}" if version else ""),
                remedy=f"flows here: {', '.join(sorted(self._live))}",
            )
        return flow

    def version(self, name: FlowName) -> str:
        """The live version of a flow, empty when there is no such flow."""
        flow = self._live.get(name)
        return flow.version if flow else ""

    def local(self, now: datetime) -> datetime:
        """The moment by the clock on the centre's wall."""
        return now.astimezone(ZoneInfo(self._centre.time_zone))

    def is_open(self, calendar: str, now: datetime) -> bool:
        """Whether a calendar of the centre is open. One that is gone (the centre changed under the call) is open."""
        found = self._centre.calendars.get(calendar)
        return found is None or found.is_open(now, ZoneInfo(self._centre.time_zone))

    def __iter__(self) -> Iterator[Flow]:
        return iter(self._live.values())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{file}: {error.strerror or error}",
            remedy="check that the file is there and readable; the shipped flows are `ivr_flows/` of the repository",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 at byte {error.start}", remedy="save the file as UTF-8") from None


class FlowRunner:
    """Walks flows over callers' channels. One runner serves every call; it keeps nothing between sessions."""

    def __init__(
        self,
        desk: CallDesk,
        flows: FlowLibrary,
        prompts_dir: Path,
        *,
        clock: Clock | None = None,
        services: Services | None = None,
    ) -> None:
        self._desk = desk
        self._flows = flows
        self._services = services or NoServices()
        self._prompts = prompts_dir.absolute()
        self._clock = clock or SystemClock()

    async def run(self, call: FlowCall, leg: CallerLeg) -> Next:
        """Walk the call's flow to its end, or until the session is over.

        When it gives "wait", "elsewhere" or "hangup", every step, and the ticket, is in the journal. Errors of the desk other than
        `CallOver` are raised: the session then ends unfinished and the dialplan takes the caller over.
        """
        if call.finished:
            return "wait"
        flow = self._flows.get(call.flow)
        session = _Session(self, call, leg, flow)
        try:
            return await session.walk()
        except CallOver:
            return "gone"
        finally:
            await session.close()

    def sound(self, sound: e.Sound) -> str:
        """The path of a sound file, without extension."""
        return str(self._prompts / sound.language / sound.name)


class _Session:
    """One call's walk. What only records (steps, the language) is sent without waiting, so that the next prompt begins
    at once and keys pressed meanwhile find a prompt to stop; it is awaited before the flow queues or ends."""

    def __init__(self, runner: FlowRunner, call: FlowCall, leg: CallerLeg, flow: Flow) -> None:
        self._desk = runner._desk
        self._flows = runner._flows
        self._services = runner._services
        self._clock = runner._clock
        self._sound = runner.sound
        self._flows = runner._flows
        self._call = call
        self._leg = leg
        self._flow = flow
        self._unsettled: list[asyncio.Task[None]] = []
        self._step_began = self._clock.monotonic()

    async def walk(self) -> Next:
        known: dict[str, Value] = {"caller.number": self._call.caller_number or "", "call.did": self._call.did}
        turn = start(self._flow, language=self._call.language, at=self._call.resume_at, known=known)
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
                case e.LeaveFlow():
                    await self._settle()
                    return "gone"
                case e.Enqueue():
                    target = await self._enqueue(turn.effect)
                    if target is None:
                        turn = advance(turn.state, e.Done())
                    elif target.kind is TargetKind.FLOW:
                        self._flow = self._flows.get(FlowName(target.name))
                        turn = start(self._flow, language=turn.state.scene.language)
                    else:
                        return "elsewhere"
                case _:
                    turn = await self._perform(turn)

    async def _perform(self, turn: Turn) -> Turn:
        match turn.effect:
            case e.Play():
                result = await self._play(turn.effect)
            case e.AwaitDigit():
                result = await self._await_digit(turn.effect)
            case e.LookUpCustomer():
                result = _looked_up(await self._desk.look_up_customer(self._call.call_id))
            case e.CallService():
                key = f"{self._call.call_id}/{self._flow.name}/{turn.state.step}/{turn.state.completed}"
                answer = await self._services.ask(turn.effect.service, turn.effect.values, key=key)
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
        return advance(turn.state, result)

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
            flow=self._flow.name,
            step=trace.step,
            verb=trace.verb,
            result=trace.exit,
            next_step=trace.next_step,
            seconds=round(now - self._step_began, 3),
            choice=trace.choice,
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


def _looked_up(answer: LookUp) -> e.LookedUp:
    card = answer.cards[0] if answer.match is Match.FOUND and answer.cards else None
    if card is None:
        return e.LookedUp(match=answer.match)
    return e.LookedUp(match=answer.match, tier=card.tier, language=card.language, name=card.name)
