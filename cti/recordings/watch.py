"""Watches over recordings: after each call the file that should be there is looked at, made into a sound file and counted as kept,
or flagged; a file that stops growing while people talk is flagged at once. Nothing is called recorded that was not read.

Work goes on from the journal after a restart: what has begun and was neither kept nor flagged is looked at again.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import structlog

from cti.clock import Clock
from cti.errors import CtiError
from cti.ids import CallId
from cti.model import facts as f
from cti.model import recording_facts as r
from cti.model.fact import Fact
from cti.recordings.gaps import Filling, filling
from cti.recordings.live import LiveSound, in_use, live_sound, stray
from cti.recordings.shelf import PEAKS, SEALED, Shelf
from cti.recordings.sound import Measured, make_wave, measure, silences
from cti.recordings.talks import TalkClock
from cti.services.ports import Journal

log = structlog.get_logger(__name__)

LOOK = 2.0
"""Seconds between looks at files that grow."""
STALLED = 5.0
"""So long without a new byte, while people talk, and the recording has stopped."""
SETTLE = 4.0
"""Seconds that Asterisk may take to write the last of a file after the call."""
AGAIN = 30.0
"""Seconds until a file that could not be made, or sent, is tried again."""
STRAY = 60.0
"""Live files of a call nobody knows, not written to for so long and open nowhere, are of a call that is over."""
GRACE = 30.0
"""Seconds after the start in which files of unknown calls are left alone."""
ORPHAN = 3600.0
"""Files that an earlier run left are moved when they are so old."""
SLACK, SHARE = 1.0, 0.05
"""A recording is short when it lacks more than this many seconds and this share of the talk."""
NO_ROOM = 1 << 20
"""With fewer bytes free, the disk is full."""

NOTHING = Filling()
NO_TROUBLE: Mapping[CallId, str] = {}

Work: TypeAlias = Coroutine[Any, Any, None]
_MESSAGE = re.compile(r"(?P<call>.+)-[a-z0-9_]+-[0-9]+\.wav")


@dataclass(slots=True)
class _Call:
    clock: TalkClock = field(default_factory=TalkClock)
    path: str = ""
    seconds: float = 0.0
    grown: float = 0.0
    """Monotonic moment of the last growth."""
    flagged: str = ""
    """What was wrong with it while people talked."""
    messages: list[tuple[str, str]] = field(default_factory=list)
    """(kind, name) of what is moved when the call is over."""


class RecordingWatch:
    """See the module. `told` hears every fact that is written, of a recording that is flagged twice the first."""

    def __init__(
        self, shelf: Shelf, journal: Journal, clock: Clock, *, told: Callable[[Fact], None] = lambda _fact: None
    ) -> None:
        self._shelf = shelf
        self._journal = journal
        self._clock = clock
        self._told = told
        self._live = shelf.folders["talk"] / "live"
        self._calls: dict[CallId, _Call] = {}
        self._finishing: set[CallId] = set()
        """Calls that are over and not judged yet."""
        self._strays: set[CallId] = set()
        """Calls nobody knew of when their files were finished."""
        self._moving: set[tuple[str, str]] = set()
        """(kind, name) of what is being sealed and sent away, or waits to be tried again: never twice at once, or one would
        seal what the other has written zeros over."""
        self._work: set[asyncio.Task[None]] = set()
        self._started = False
        self._pending: list[Work] = []
        """What waits for `run`."""
        self._turns = asyncio.Semaphore(2)

    # -- what happens --------------------------------------------------------------------------------------------------

    def recover(self, facts: Iterable[Fact]) -> None:
        """Before `run`: what the journal tells. Calls whose recordings were judged are left in peace; what was flagged while
        people talked is no judgement yet, and never forgotten."""
        done: set[tuple[str, str]] = set()
        spoiled: dict[CallId, str] = {}
        over: set[CallId] = set()
        facts = list(facts)
        for fact in facts:
            if isinstance(fact, f.CallEnded):
                over.add(fact.call_id)
            elif isinstance(fact, r.RecordingFlagged) and fact.kind == "talk" and fact.call_id not in over:
                spoiled[fact.call_id] = fact.trouble
            elif isinstance(fact, r.RecordingKept | r.RecordingFlagged | r.RecordingDeleted):
                done.add((fact.kind, fact.path))
        for fact in facts:
            self._take(fact, done, spoiled)

    def observe(self, facts: Sequence[Fact], now: datetime) -> None:
        """These facts were recorded a moment ago."""
        for fact in facts:
            self._take(fact, set())

    def _take(self, fact: Fact, done: set[tuple[str, str]], spoiled: Mapping[CallId, str] = NO_TROUBLE) -> None:
        call_id = getattr(fact, "call_id", None)
        if call_id is None or isinstance(
            fact, r.RecordingKept | r.RecordingFlagged | r.RecordingMoved | r.RecordingDeleted
        ):
            return
        call = self._calls.get(call_id)
        if call is None:
            if not isinstance(fact, f.CallStarted | f.RecordingStarted | f.CallAnswered):
                if isinstance(fact, f.MessageRecorded) and ("message", fact.path) not in done:
                    self._do(self._message(call_id, "message", fact.path, fact.seconds))
                return
            call = self._calls[call_id] = _Call(flagged=spoiled.get(call_id, ""))
        was = call.clock.running
        call.clock.take(fact)
        if call.clock.running and not was:
            call.grown = time.monotonic()
        match fact:
            case f.RecordingStarted():
                call.path = fact.path
            case f.MessageRecorded() if ("message", fact.path) not in done:
                self._do(self._message(call_id, "message", fact.path, fact.seconds))
                call.messages.append(("message", fact.path))
            case f.VoicemailLeft() if ("voicemail", fact.path) not in done:
                self._do(self._message(call_id, "voicemail", fact.path, fact.seconds))
                call.messages.append(("voicemail", fact.path))
            case f.CallEnded():
                self._calls.pop(call_id, None)
                if ("talk", call.path or f"{call_id}.wav") not in done and call_id not in self._strays:
                    self._finishing.add(call_id)
                    self._do(self._finish(call_id, call))
                for kind, name in call.messages:
                    self._do(self._move(call_id, kind, name))
            case _:
                pass

    async def missing(self, call_id: CallId) -> None:
        """A recording that should have begun has not, and could not be begun."""
        await self._flag(call_id, f"{call_id}.wav", "not_started")

    # -- the end of a call ---------------------------------------------------------------------------------------------

    async def _finish(self, call_id: CallId, call: _Call) -> None:
        try:
            await self._judge_talk(call_id, call)
        finally:
            self._finishing.discard(call_id)

    async def _judge_talk(self, call_id: CallId, call: _Call) -> None:
        live, name = live_sound(self._live, call_id), call.path or f"{call_id}.wav"
        clock = call.clock
        begun = clock.begun_at is not None
        if not begun and not live.there():
            return  # nobody meant to record it
        # What was paused need not be there: where neither side sends anything, Asterisk writes nothing.
        expected = clock.seconds - clock.silence if begun else 0.0
        await self._settled(call_id, expected)
        live = live_sound(self._live, call_id)
        if not any(live.frames()):
            if begun and clock.talked and expected > 0.2:
                trouble = "empty" if live.there() else "missing"
                await self._flag(
                    call_id,
                    name,
                    call.flagged or self._why(trouble),
                    expected=expected,
                    seconds=0.0,
                    again=bool(call.flagged),
                )
            await self._shelf.discard(*live.files)
            return
        await self._make(call_id, live, name, expected, clock, call.flagged)

    async def _settled(self, call_id: CallId, expected: float) -> None:
        """Until nobody writes to the files any more, or there is nothing to wait for."""
        deadline, last = time.monotonic() + SETTLE, (-1, -1)
        while True:
            live = live_sound(self._live, call_id)
            frames = live.frames()
            if (frames == last and not _short(live.seconds(), expected)) or time.monotonic() >= deadline:
                return
            last = frames
            await asyncio.sleep(0.3)

    async def _make(
        self, call_id: CallId, live: LiveSound, name: str, expected: float, clock: TalkClock, spoiled: str = ""
    ) -> None:
        target = self._shelf.plain("talk", name)
        if not any(live.frames()):
            return  # finished already: an empty file must not take the place of the sound
        lost = await asyncio.to_thread(live.lost)
        flagged = False
        while True:
            try:
                async with self._turns:
                    put_in = await asyncio.to_thread(_filling, live, clock)
                    found = await asyncio.to_thread(make_wave, live, target, fills=put_in.fills)
                    if await asyncio.to_thread(measure, target) != found:
                        raise OSError(f"{name} is not on the disk as it was written")
                break
            except (OSError, ValueError) as error:
                if not live.there():
                    await self._flag(call_id, name, self._why("missing"), expected=expected, seconds=0.0)
                    return
                if not flagged:
                    log.error("recording_not_made", call_id=call_id, error=str(error))
                    await self._flag(call_id, name, self._why("unreadable"), expected=expected)
                flagged = True
                await asyncio.sleep(AGAIN)
        await self._shelf.discard(*live.files)
        await self._judge(call_id, "talk", name, found, expected, lost=lost, filled=put_in, spoiled=spoiled)
        await self._move(call_id, "talk", name)

    async def _message(self, call_id: CallId, kind: str, name: str, seconds: float) -> None:
        """What a caller recorded; Asterisk writes its header last."""
        deadline = time.monotonic() + SETTLE
        while True:
            try:
                found = await asyncio.to_thread(measure, self._shelf.plain(kind, name))
                if not _short(found.seconds, seconds) or time.monotonic() >= deadline:
                    break
            except (OSError, ValueError) as error:
                if time.monotonic() >= deadline:
                    trouble = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
                    await self._flag(call_id, name, self._why(trouble), kind=kind, expected=seconds)
                    return
            except CtiError:
                return
            await asyncio.sleep(0.3)
        # Silence at the end is taken off a message, so it may be shorter than it took.
        await self._judge(call_id, kind, name, found, min(seconds, found.seconds) if found.seconds > SLACK else seconds)

    async def _judge(
        self,
        call_id: CallId,
        kind: str,
        name: str,
        found: Measured,
        expected: float,
        *,
        lost: float = 0.0,
        filled: Filling = NOTHING,
        spoiled: str = "",
    ) -> None:
        """Kept or flagged. `lost`: seconds of the file that were never written; `filled`: what was put in for pauses;
        `spoiled`: what was wrong with it before."""
        there = found.seconds - filled.seconds - lost
        if spoiled or _short(there, expected) or lost > SLACK:
            await self._flag(
                call_id,
                name,
                spoiled or self._why("short"),
                kind=kind,
                expected=expected,
                seconds=there,
                again=bool(spoiled),
            )
            return
        await self._tell(
            r.RecordingKept(
                at=self._clock.now(),
                call_id=call_id,
                path=name,
                kind=kind,
                bytes=found.bytes,
                seconds=round(found.seconds, 2),
                sha256=found.sha256,
                channels=found.channels,
                silence=round(sum(end - begin for begin, end in filled.gaps), 2),
                gaps=filled.gaps,
            )
        )

    async def _move(self, call_id: CallId, kind: str, name: str) -> None:
        """Seal and send away; again and again until it is done. Nothing to do where that is under way already."""
        if (kind, name) in self._moving:
            return
        self._moving.add((kind, name))
        try:
            await self._keep(call_id, kind, name)
        finally:
            self._moving.discard((kind, name))

    async def _keep(self, call_id: CallId, kind: str, name: str) -> None:
        while self._shelf.moves:
            try:
                async with self._turns:
                    moved = await self._shelf.keep(kind, name)
            except (CtiError, OSError) as error:
                log.warning("recording_not_moved", call_id=call_id, kind=kind, error=str(error))
                await asyncio.sleep(AGAIN)
                continue
            if moved is not None:
                await self._tell(
                    r.RecordingMoved(
                        at=self._clock.now(),
                        call_id=call_id,
                        path=name,
                        kind=kind,
                        place=moved.place,
                        key_id=moved.key_id,
                    )
                )
            return

    # -- always --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at growing files, and at what an earlier run left; for ever."""
        self._started = True
        waiting, self._pending = self._pending, []
        for work in waiting:
            self._do(work)
        began, swept = time.monotonic(), 0.0
        try:
            while True:
                await self._look()
                if time.monotonic() - swept > ORPHAN / 60:
                    swept = time.monotonic()
                    # Calls of a time without a bridge are told by the ledger, some seconds after the start.
                    await self._sweep(strays=swept - began > GRACE)
                await asyncio.sleep(LOOK)
        finally:
            for task in list(self._work):
                task.cancel()
            self._started = False

    async def _look(self) -> None:
        now = time.monotonic()
        for call_id, call in list(self._calls.items()):
            if not call.clock.running:
                continue
            live = live_sound(self._live, call_id)
            seconds = live.seconds()
            if seconds > call.seconds:
                call.seconds, call.grown = seconds, now
            elif not call.flagged and (now - call.grown > STALLED or seconds < call.seconds - SLACK):
                stopped = "short" if seconds < call.seconds else "not_growing"
                call.flagged = self._why(stopped if live.there() else "missing")
                expected = call.clock.at(self._clock.now())
                name = call.path or f"{call_id}.wav"
                await self._flag(
                    call_id, name, call.flagged, expected=round(expected, 1),
                    seconds=round(seconds, 1),
                )  # fmt: skip

    async def _sweep(self, *, strays: bool) -> None:
        """Files of calls that nobody told of, and files that were not moved when the bridge ended."""
        for call_id in await asyncio.to_thread(stray, self._live, time.time() - STRAY) if strays else ():
            live = live_sound(self._live, call_id)
            if call_id not in {*self._calls, *self._finishing, *self._strays} and not await asyncio.to_thread(
                in_use, live.files
            ):
                self._strays.add(call_id)
                self._do(self._make(call_id, live, f"{call_id}.wav", 0.0, TalkClock()))
        if not self._shelf.moves:
            return
        for kind in ("message", "voicemail"):
            for file in await asyncio.to_thread(_old_files, self._shelf.folders[kind], "*.wav", ORPHAN):
                call_id, found = call_of(kind, file.name)
                if call_id not in self._calls:
                    self._do(self._move(call_id, found, file.name))

    def _do(self, work: Work) -> None:
        if not self._started:
            self._pending.append(work)
            return
        task = asyncio.ensure_future(self._guarded(work))
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _guarded(self, work: Work) -> None:
        try:
            await work
        except Exception:
            log.exception("recording_not_looked_after")

    def _why(self, trouble: str) -> str:
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._live if self._live.exists() else self._live.parent).free < NO_ROOM:
                return "disk_full"
        return trouble

    async def _flag(
        self,
        call_id: CallId,
        name: str,
        trouble: str,
        *,
        kind: str = "talk",
        expected: float | None = None,
        seconds: float | None = None,
        again: bool = False,
    ) -> None:
        """`again`: it was told while people talked; now it is judged."""
        log.error("recording_flagged", call_id=call_id, kind=kind, trouble=trouble, expected=expected, seconds=seconds)
        await self._tell(
            r.RecordingFlagged(
                at=self._clock.now(),
                call_id=call_id,
                path=name,
                kind=kind,
                trouble=trouble,
                expected=round(expected, 2) if expected is not None else None,
                seconds=round(seconds, 2) if seconds is not None else None,
            ),
            again=again,
        )

    async def _tell(self, fact: Fact, *, again: bool = False) -> None:
        if not again:
            self._told(fact)
        await self._journal.append([fact])


def _filling(live: LiveSound, clock: TalkClock) -> Filling:
    """What the pauses of a talk lack in what was written. Raises OSError."""
    whole = live.seconds() or max(live.frames()) / live.rate  # of one side alone, where the other's file is missing
    return filling(silences(live) if clock.pauses else (), clock.pauses, whole)


def _short(seconds: float, expected: float) -> bool:
    return expected - seconds > SLACK and seconds < expected * (1 - SHARE)


def call_of(kind: str, name: str) -> tuple[CallId, str]:
    """The call of a file, and what the file is: talks and messages share a folder."""
    if kind == "message":
        found = _MESSAGE.fullmatch(name)
        return (CallId(found["call"]), "message") if found else (CallId(name.removesuffix(".wav")), "talk")
    return CallId(name.removesuffix(".wav")), kind


def _old_files(folder: Path, pattern: str, age: float) -> list[Path]:
    """Files that nobody has written to for so long."""
    limit = time.time() - age
    found = []
    for file in folder.glob(pattern) if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            if file.name.endswith((SEALED, PEAKS)) or file.stat().st_mtime > limit:
                continue
            found.append(file)
    return found
