"""A caller who lives a plan on a real line, and knows by ear what is played: the bytes that come are compared with the files."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cti.ivr import effects as e
from cti.ivr.rehearsal import WAIT
from tests.acceptance.walk_plan import ON_THE_LINE, Plan
from tests.support.sip_caller import Caller

BYTES_A_SECOND = 8000
KNOWN_BY = 800
"""Bytes by which a sound is known: no two prompts begin with the same (a test says so)."""
INTO_A_SOUND = 2400
"""How much of a prompt a caller hears before pressing a key over it, or hanging up."""
A_PRESS = 0.1
"""Seconds a key is held."""
A_MOMENT = 4000
"""How much of a prompt may sound that a key pressed ahead skips."""
TONE_AT_LEAST, A_SILENCE, SILENT = 1600, 640, frozenset({0xFF, 0x7F})
PATIENCE = 20.0
"""Seconds beyond what should pass."""


class WalkError(AssertionError):
    """The line did otherwise than the plan."""


@dataclass(slots=True)
class Measures:
    """What was measured on the way."""

    sounds: int = 0
    """Sounds compared byte by byte, and the same."""
    seconds: float = 0.0
    """Of sound compared."""
    cut: list[float] = field(default_factory=list)
    """Seconds from letting a key go to the last packet of the prompt it stopped."""
    ahead: int = 0
    """Prompts skipped by keys pressed before them."""
    music: int = 0
    """Times that somebody was asked for so long that there was music."""
    timeouts: list[tuple[float, float]] = field(default_factory=list)
    """Seconds of silence, as the flow says, and as they were until the next sound."""


@cache
def sound_bytes(folder: Path, sound: e.Sound) -> bytes:
    """The file of a sound, as the line carries it."""
    return (folder / sound.language / f"{sound.name}.ulaw").read_bytes()


@cache
def catalogue(folder: Path) -> dict[bytes, tuple[str, bytes]]:
    """Every prompt by its beginning: its name, and all of it."""
    files = sorted(folder.glob("*/*.ulaw"))
    return {(data := file.read_bytes())[:KNOWN_BY]: (f"{file.parent.name}/{file.stem}", data) for file in files}


def recognise(heard: bytes, folder: Path) -> list[str]:
    """What was heard, in words, for the message of a failed walk: prompts as they begin in the bytes, with their seconds."""
    known, found, at = catalogue(folder), list[str](), 0
    while at + KNOWN_BY <= len(heard):
        match = known.get(bytes(heard[at : at + KNOWN_BY]))
        if match is None:
            if not found or found[-1] != "?":
                found.append("?")
            at += 160
            continue
        name, data = match
        same = common(heard[at:], data)
        found.append(name if same == len(data) else f"{name}[{same / BYTES_A_SECOND:.2f} s]")
        at += max(160, same // 160 * 160)
    return found


def common(first: bytes | bytearray, second: bytes) -> int:
    """How many bytes at the beginning are the same."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def seconds_before(plan: Plan, moment: int, folder: Path) -> float:
    """How long the way to a moment takes by its prompts and waits, when keys are pressed as soon as they may be."""
    spent = 0.0
    for one in plan.moments[:moment]:
        if isinstance(one.effect, e.Play) and not one.answers:
            spent += sum(len(sound_bytes(folder, sound)) for sound in one.effect.sounds) / BYTES_A_SECOND
        elif isinstance(one.effect, e.AwaitDigit) and not one.answers:
            spent += one.effect.timeout.total_seconds()
        elif isinstance(one.effect, e.Record):
            spent += 4
    return spent


@dataclass(slots=True)
class Stopped:
    """A prompt that a key should have stopped: where it began, its sound, and whether it was playing then."""

    at: int
    sound: bytes
    playing: bool
    released: int
    """How many keys had been let go before."""
    least: int
    """How much had been heard then: what follows does not begin before."""
    behind: int = 0
    """Prompts behind it that keys pressed ahead skip as well: each may be heard for a moment."""


class Walk:
    """One plan on one call. `ahead`: keys are pressed as soon as the first of them may be, not when they are asked for."""

    def __init__(
        self,
        plan: Plan,
        caller: Caller,
        prompts: Path,
        measures: Measures,
        *,
        ahead: bool = False,
        asked: Callable[[], Awaitable[None]] | None = None,
        first_sound: Callable[[], None] = lambda: None,
    ) -> None:
        self.plan, self.caller, self._prompts, self._measures, self._ahead = plan, caller, prompts, measures, ahead
        self._asked = asked
        self._first_sound = first_sound
        self._at = 0
        """How much of what was heard is explained."""
        self._pressed_to = 0
        """The first moment whose key was not pressed yet."""
        self._stopped: Stopped | None = None
        self._gap = False
        """Something else may sound before the next prompt: the tone of a recording."""
        self._music = False
        """Somebody is asked: where that takes a second, as with a file that does not answer or on a busy machine, there is music."""
        self._quiet_since: float | None = None
        self._quiet = 0.0
        """Seconds that the flow waits, since then."""

    async def walk(self) -> None:
        """Live it. Raises `WalkError`."""
        try:
            for number, moment in enumerate(self.plan.moments):
                if isinstance(moment.effect, e.Play):
                    if moment.effect.sounds:
                        await self._play(number, moment.effect)
                    elif moment.key not in ("", WAIT):
                        raise WalkError("a key for a prompt of nothing cannot be pressed in time")
                elif isinstance(moment.effect, e.AwaitDigit):
                    await self._wait(number, moment.effect)
                elif isinstance(moment.effect, e.Record):
                    await self._record(number, moment.effect)
                elif isinstance(moment.effect, e.LookUpCustomer | e.CallService):
                    self._music = True
                    if isinstance(moment.effect, e.CallService) and number == self.plan.cut and self._asked is not None:
                        await self._asked()
                        self.caller.hang_up()
                if self.caller.by_us:
                    return
            await self._end()
        except WalkError as error:
            told = recognise(bytes(self.caller.heard), self._prompts)
            raise WalkError(
                f"{self.plan.name}: {error}; heard {told}, {len(self.caller.heard)} bytes, {self._at} as expected,"
                f" {self.caller.lost} packets lost, keys let go: {len(self.caller.released)},"
                f" {'over' if self.caller.ended.is_set() else 'on'}"
            ) from None

    def _bytes(self, play: e.Play) -> bytes:
        return b"".join(sound_bytes(self._prompts, sound) for sound in play.sounds)

    async def _play(self, number: int, play: e.Play) -> None:
        moment, sound = self.plan.moments[number], self._bytes(play)
        if moment.answers and number < self._pressed_to:
            # The key came before the prompt, which may not have begun to sound at all.
            self._stop(sound, playing=False)
            return
        await self._find(sound, play)
        if moment.answers or number == self.plan.cut or moment.key not in ("", WAIT):
            await self._hear(self._at + min(INTO_A_SOUND, len(sound) // 4), sound)
            if number == self.plan.cut:
                self.caller.hang_up()
                return
            if moment.answers:
                self._stop(sound, playing=True)
                await self._press(number)
                return
            await self._press(number)  # over a prompt that no key stops: it is lost
        await self._hear(self._at + len(sound), sound)
        self._at += len(sound)
        self._measures.sounds += len(play.sounds)
        self._measures.seconds += len(sound) / BYTES_A_SECOND
        self._quiet_since, self._quiet = self._arrival(self._at), 0.0

    def _stop(self, sound: bytes, *, playing: bool) -> None:
        if self._stopped is not None:
            self._stopped.behind += 1
            return
        self._stopped = Stopped(
            at=self._at, sound=sound, playing=playing, released=len(self.caller.released),
            least=len(self.caller.heard) if playing else self._at,
        )  # fmt: skip

    async def _find(self, sound: bytes, play: e.Play) -> None:
        """Wait until the beginning of a sound is heard, and know by it where the last one stopped."""
        begin, known = sound[:KNOWN_BY], self._at
        deadline = asyncio.get_running_loop().time() + self._quiet + PATIENCE
        while True:
            heard = self.caller.heard
            found = self._beginning(begin, known)
            if found is not None:
                break
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0 or not await self.caller.hears(len(heard) + 1, within=left):
                names = ", ".join(f"{one.language}/{one.name}" for one in play.sounds)
                raise WalkError(f"waited for {names}")
        self._first_sound()
        if self._quiet_since is not None and self._quiet:
            self._measures.timeouts.append((self._quiet, self._arrival(found + 1) - self._quiet_since))
        if self._music and self._stopped is None and not self._gap and found > known:
            told = recognise(bytes(self.caller.heard[known:found]), self._prompts)
            if told not in ([], ["?"]):
                raise WalkError(f"instead of music {told} is played")
            self._measures.music += 1
        self._note_stop(found)
        self._at, self._gap, self._music, self._quiet_since, self._quiet = found, False, False, None, 0.0

    def _beginning(self, begin: bytes, known: int) -> int | None:
        heard = self.caller.heard
        if self._gap or self._music:
            at = heard.find(begin, known if self._stopped is None else max(known, self._stopped.least))
            return at if at >= 0 else None
        if self._stopped is None:
            if len(heard) < known + len(begin):
                return None
            if heard[known : known + len(begin)] != begin:
                raise WalkError("something else is played")
            return known
        # Stopped somewhere; what follows begins at the end of what is the same, or a little before where both sound alike.
        same = common(heard[known:], self._stopped.sound)
        at = heard.rfind(begin, self._stopped.least, known + same + self._stopped.behind * A_MOMENT + len(begin))
        return at if at >= 0 else None

    def _note_stop(self, at: int) -> None:
        stopped, self._stopped = self._stopped, None
        if stopped is None:
            return
        same = min(at - stopped.at, common(self.caller.heard[stopped.at :], stopped.sound))
        self._measures.ahead += stopped.behind
        if not stopped.playing:
            if same > A_MOMENT:
                raise WalkError(f"a key pressed ahead did not skip a prompt: {same / BYTES_A_SECOND:.2f} s were played")
            self._measures.ahead += 1
            return
        at = stopped.at + same
        if same >= len(stopped.sound):
            raise WalkError("a key did not stop the prompt")
        released = self.caller.released[stopped.released :]
        if at > stopped.at and released:
            self._measures.cut.append(self._arrival(at) - released[0])
            self._measures.sounds += 1
            self._measures.seconds += (at - stopped.at) / BYTES_A_SECOND

    def _arrival(self, heard: int) -> float:
        """When so many bytes had been heard."""
        packets = self.caller.packets
        return packets[min(bisect_left(packets, heard, key=lambda packet: packet.heard), len(packets) - 1)].at

    async def _hear(self, upto: int, sound: bytes) -> None:
        missing = max(0, upto - len(self.caller.heard))
        complete = await self.caller.hears(upto, within=missing / BYTES_A_SECOND + PATIENCE)
        heard = bytes(self.caller.heard[self._at : upto])
        same = common(heard, sound)
        if same < len(heard) or not complete:
            raise WalkError(f"a prompt was played otherwise after {same / BYTES_A_SECOND:.2f} s")

    async def _wait(self, number: int, wait: e.AwaitDigit) -> None:
        moment = self.plan.moments[number]
        if number == self.plan.cut:
            await asyncio.sleep(0.3)  # into the wait
            self.caller.hang_up()
        elif moment.answers:
            if number >= self._pressed_to:
                if self.plan.pace is not None and self.caller.released:
                    # From the first key on, so that being late with one does not add to the next.
                    due = self.caller.released[0] + len(self.caller.released) * self.plan.pace
                    await asyncio.sleep(due - A_PRESS - time.time())
                elif self._stopped is None:
                    await asyncio.sleep(0.3)  # a person thinks
                await self._press(number)
            if self.caller.released:
                self._quiet_since, self._quiet = self.caller.released[-1], 0.0
        else:
            if self.caller.released:
                self._quiet_since = max(self._quiet_since or 0.0, self.caller.released[-1])
            self._quiet += wait.timeout.total_seconds() - self._late(number)

    def _late(self, number: int) -> float:
        """Seconds the key just before was late by, of keys at a pace: the time for a whole entry counts from the first, and has less."""
        keys = self.caller.released
        if self.plan.pace is None or not keys or not self.plan.moments[number - 1].answers:
            return 0.0
        return keys[-1] - keys[0] - (len(keys) - 1) * self.plan.pace

    async def _press(self, number: int) -> None:
        """Press the key of this moment, or with `ahead` also those that follow at once."""
        moments = self.plan.moments
        keys, upto = moments[number].key, number + 1
        while self._ahead and upto < len(moments):
            moment = moments[upto]
            if isinstance(moment.effect, e.Play | e.AwaitDigit):
                if not moment.answers or (isinstance(moment.effect, e.Play) and not moment.effect.sounds):
                    break
                keys += moment.key
            elif isinstance(moment.effect, ON_THE_LINE):
                break
            upto += 1
        self._pressed_to = upto
        self.caller.press(keys)
        await self.caller.pressed()

    async def _record(self, number: int, record: e.Record) -> None:
        """After the tone: speak and press the key that ends it, or be silent."""
        self._gap = True
        if self._stopped is not None:
            await asyncio.sleep(0.3)
            self._at = self._after_stop()
        moment = self.plan.moments[number]
        if isinstance(moment.result, e.Recorded) and moment.result.status == "failure":
            return  # the flow goes on at once
        await self._tone_over()
        if number == self.plan.cut:
            self.caller.speaking = True
            await asyncio.sleep(0.5)
            self.caller.hang_up()
        elif isinstance(moment.result, e.Recorded) and moment.result.status == "recorded":
            self.caller.speaking = True
            await asyncio.sleep(2.5)
            self.caller.press(record.terminators[:1])
            await self.caller.pressed()
            self.caller.speaking = False

    def _after_stop(self) -> int:
        """Where a prompt stopped that a key cut short, by what of it was heard."""
        assert self._stopped is not None
        at = self._at + common(self.caller.heard[self._at :], self._stopped.sound)
        self._note_stop(at)
        return at

    async def _tone_over(self) -> None:
        """Until the tone was heard and the line is silent behind it."""
        upto = self._at + TONE_AT_LEAST
        while True:
            if not await self.caller.hears(upto, within=PATIENCE):
                raise WalkError("no tone before the recording")
            upto = len(self.caller.heard)
            if set(self.caller.heard[-A_SILENCE:]) <= SILENT:
                break
            if not await self.caller.hears(upto + 1, within=0.2):
                break
            upto += 1
        self._at = upto

    async def _end(self) -> None:
        match self.plan.end:
            case e.HangUp():
                try:
                    async with asyncio.timeout(PATIENCE):
                        await self.caller.ended.wait()
                except TimeoutError:
                    raise WalkError("the centre did not hang up") from None
                if self._stopped is None and not self._gap and not self._music and len(self.caller.heard) != self._at:
                    raise WalkError("something was played after the end")
            case _:
                # Music: whoever waits is never left in silence.
                if not await self.caller.hears(len(self.caller.heard) + 4000, within=PATIENCE):
                    raise WalkError("silence instead of music after the flow")
                if self._stopped is not None:
                    self._after_stop()
                self.caller.hang_up()
