"""Recording a prompt at a telephone: the code from the page, what is heard now, the recording, listen, keep or again.

Nothing is recorded before the code counts, and nothing is kept before the person says so. What is kept goes the way of an
upload, with the same rules.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import structlog

from cti.clock import Clock
from cti.errors import CtiError
from cti.services.ports import CallerLeg, LegGone, Played, Pressed
from cti.services.prompt_sounds import PromptSounds, RecordingRefused, SoundState
from cti.services.recording_codes import DIGITS, Grant, RecordingCodes

TRIES = 3
"""Of keying in the code, and of choosing what to do."""
TAKES = 20
"""Recordings in one call."""
FIRST_KEY, NEXT_KEY = timedelta(seconds=10), timedelta(seconds=5)
LONGEST, SILENCE = timedelta(seconds=110), timedelta(seconds=6)

End = Literal["kept", "left", "no_code", "gone"]

log = structlog.get_logger(__name__)


class PhoneRecording:
    """Serves telephones that record. `folder` must be one Asterisk writes to; `language` is spoken until a code is known."""

    def __init__(
        self,
        sounds: PromptSounds,
        codes: RecordingCodes,
        *,
        folder: Path,
        dial: str,
        language: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._sounds = sounds
        self._codes = codes
        self._folder = folder
        self._dial = dial
        self._language = language
        self._clock = clock

    @property
    def dial(self) -> str:
        """The number to dial from a phone of the centre."""
        return self._dial

    def give(self, language: str, name: str, *, by: str) -> tuple[str, datetime]:
        """A code for this prompt and until when it counts. Raises `TooManyCodes`."""
        grant = self._codes.give(language, name, by=by, now=self._clock.now())
        return grant.code, grant.until

    async def serve(self, leg: CallerLeg, *, who: str) -> End:
        """One call. `who` is the telephone, for the limit of wrong codes."""
        grant = await self._ask_code(leg, who)
        if isinstance(grant, LegGone):
            return "gone"
        if grant is None:
            log.warning("prompt_recording_refused", phone=who)
            await self._say(leg, self._language(), "studio_goodbye")
            return "no_code"
        file = self._folder / f"prompt-{secrets.token_hex(8)}.wav"
        try:
            return await self._record(leg, grant, file)
        finally:
            file.unlink(missing_ok=True)

    async def _ask_code(self, leg: CallerLeg, who: str) -> Grant | LegGone | None:
        language = self._language()
        for _ in range(TRIES):
            keyed = await self._keys(leg, language)
            if isinstance(keyed, LegGone):
                return keyed
            grant = self._codes.look(keyed, who=who, now=self._clock.now()) if len(keyed) == DIGITS else None
            if grant is not None:
                return grant
            if isinstance(await self._say(leg, language, "studio_code_wrong"), LegGone):
                return LegGone()
        return None

    async def _keys(self, leg: CallerLeg, language: str) -> str | LegGone:
        heard = await self._say(leg, language, "studio_code", interrupt="0123456789")
        if isinstance(heard, LegGone):
            return heard
        keyed = heard.digit or ""
        while len(keyed) < DIGITS:
            pressed = await leg.digit(NEXT_KEY if keyed else FIRST_KEY)
            if isinstance(pressed, LegGone):
                return pressed
            if not isinstance(pressed, Pressed) or pressed.digit == "#":
                break
            keyed += pressed.digit
        return keyed

    async def _record(self, leg: CallerLeg, grant: Grant, file: Path) -> End:
        spoken = grant.language
        try:
            found = await self._sounds.find(spoken, grant.name)
        except CtiError:
            return "left"  # the prompt was deleted since the code was given
        now = [self._sounds.path(spoken, "studio_nothing_yet")]
        if found.state is not SoundState.MISSING:
            now = [self._sounds.path(spoken, "studio_now"), self._sounds.path(spoken, grant.name)]
        choice = await self._choose(leg, [*now, self._sounds.path(spoken, "studio_record")], "1")
        takes = 0
        while choice == "1" and takes < TAKES:
            takes += 1
            taken = await leg.record(str(file.with_suffix("")), most=LONGEST, silence=SILENCE, terminators="#")
            if isinstance(taken, LegGone) or taken.gone:
                return "gone"
            again = "3"
            while again == "3":
                offered = [self._sounds.path(spoken, "studio_recorded"), str(file.with_suffix(""))]
                again = await self._choose(leg, [*offered, self._sounds.path(spoken, "studio_keep")], "123")
            if again == "gone":
                return "gone"
            if again != "1":
                choice = "1" if again == "2" else ""
                continue
            end = await self._keep(leg, grant, file)
            if end is not None:
                return end
            choice = await self._choose(leg, [self._sounds.path(spoken, "studio_record")], "1")
        if choice == "gone":
            return "gone"
        await self._say(leg, spoken, "studio_goodbye")
        return "left"

    async def _keep(self, leg: CallerLeg, grant: Grant, file: Path) -> End | None:
        """None: the recording cannot be used, and the person may try again."""
        try:
            content = await asyncio.to_thread(file.read_bytes)
            await self._sounds.find(grant.language, grant.name)
            if not self._codes.is_fresh(grant):
                await self._say(leg, grant.language, "studio_code_wrong")
                return "no_code"
            await self._sounds.keep(grant.language, grant.name, content, by=grant.by, how="phone")
        except (RecordingRefused, OSError):
            gone = await self._say(leg, grant.language, "studio_refused")
            return "gone" if isinstance(gone, LegGone) else None
        self._codes.spend(grant)
        await self._say(leg, grant.language, "studio_kept")
        return "kept"

    async def _choose(self, leg: CallerLeg, sounds: list[str], keys: str) -> str:
        """One of `keys`, "" where none was pressed, "gone"."""
        for _ in range(TRIES):
            heard = await leg.play(sounds, interrupt="0123456789*#")
            if isinstance(heard, LegGone):
                return "gone"
            digit = heard.digit
            if digit is None:
                pressed = await leg.digit(FIRST_KEY)
                if isinstance(pressed, LegGone):
                    return "gone"
                digit = pressed.digit if isinstance(pressed, Pressed) else None
            if digit is not None and digit in keys:
                return digit
        return ""

    async def _say(self, leg: CallerLeg, language: str, name: str, *, interrupt: str = "") -> Played | LegGone:
        return await leg.play([self._sounds.path(language, name)], interrupt=interrupt)
