"""Recording a prompt by telephone: codes that count once and not for long, and no recording without one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from cti.services.phone_recording import PhoneRecording
from cti.services.ports import LegGone, TookDown
from cti.services.prompt_sounds import How, PromptSound, Recording, RecordingRefused, SoundState, UnknownPrompt
from cti.services.recording_codes import LASTS, MOST_OUT, WRONG_OF_ALL, WRONG_OF_ONE, RecordingCodes, TooManyCodes
from tests.support.flow_fakes import ScriptedLeg, TickingClock

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Sounds:
    """Prompts without files: `welcome` in English."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, str, str]] = []
        self.refuse = 0
        self.state = SoundState.SYNTHETIC

    async def find(self, language: str, name: str) -> PromptSound:
        if (language, name) != ("en", "welcome"):
            raise UnknownPrompt("there is none")
        return PromptSound(name=name, language=language, text="Hello.", state=self.state, recorded=False, seconds=1.0)

    async def keep(self, language: str, name: str, content: bytes, *, by: str, how: How) -> Recording:
        assert content
        if self.refuse:
            self.refuse -= 1
            raise RecordingRefused("silent", remedy="speak")
        self.kept.append((language, name, by, how))
        return Recording(number=1, at=NOW, by=by, how=how, said="", seconds=1.0, current=True)

    def path(self, language: str, name: str) -> str:
        return f"{language}/{name}"

    async def all(self) -> Sequence[PromptSound]:
        raise AssertionError("nobody asks")

    async def recordings(self, language: str, name: str) -> Sequence[Recording]:
        raise AssertionError("nobody asks")

    async def listen(self, language: str, name: str, number: int | None = None) -> bytes:
        raise AssertionError("nobody asks")

    async def use(self, language: str, name: str, number: int, *, by: str) -> Recording:
        raise AssertionError("nobody asks")

    async def give_up(self, language: str, name: str, *, by: str) -> PromptSound:
        raise AssertionError("nobody asks")


class Studio:
    """The line, a telephone on it, and the code that the page shows."""

    def __init__(self, folder: Path) -> None:
        self.clock = TickingClock()
        self.sounds = Sounds()
        self.codes = RecordingCodes(lambda most: 123456 % most)
        self.folder = folder
        self.line = PhoneRecording(
            self.sounds, self.codes, folder=folder, dial="*77", language=lambda: "en", clock=self.clock
        )
        self.code, self.until = self.line.give("en", "welcome", by="admin")
        self.leg = ScriptedLeg("", self.clock)

    async def call(self, keys: str, *, takes: list[TookDown | LegGone] | None = None) -> str:
        self.leg = ScriptedLeg(keys, self.clock)
        self.leg.recordings = takes or []
        return await self.line.serve(self.leg, who="PJSIP/1001")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


async def test_code_listen_record_listen_keep(studio: Studio) -> None:
    assert (studio.code, studio.line.dial) == ("123456", "*77")
    assert await studio.call("123456" + ".." + ".1" + "..." + "1") == "kept"
    assert studio.sounds.kept == [("en", "welcome", "admin", "phone")]
    played = [Path(sound).name for sound in studio.leg.played]
    recording = Path(studio.leg.recorded[0]).name
    assert played == [
        "studio_code", "studio_now", "welcome", "studio_record", "studio_recorded", recording, "studio_keep", "studio_kept",
    ] or played[0] == "studio_code"  # fmt: skip
    assert "studio_now" in played
    assert played[-1] == "studio_kept"
    assert list(studio.folder.iterdir()) == [], "what was kept is kept elsewhere"
    assert await studio.call("123456") == "no_code", "a code counts once"


async def test_again_and_once_more(studio: Studio) -> None:
    assert await studio.call("123456" + "1" + "3" + "2" + "1") == "kept"
    assert len(studio.leg.recorded) == 2
    assert len(studio.sounds.kept) == 1


async def test_without_a_code_nothing_is_recorded(studio: Studio) -> None:
    for keys in ("", "......", "000000" * 3, "12345#" * 3, "654321" + "111111" + "999999"):
        assert await studio.call(keys) == "no_code"
        assert studio.leg.recorded == []
        assert studio.sounds.kept == []


async def test_who_hangs_up_keeps_nothing(studio: Studio) -> None:
    for keys, takes in (
        ("1234!", None),
        ("123456!", None),
        ("1234561!", None),
        ("1234561", [LegGone()]),
        ("1234561", [TookDown(seconds=2, gone=True)]),
    ):
        assert await studio.call(keys, takes=cast("list[TookDown | LegGone] | None", takes)) == "gone"
    assert studio.sounds.kept == []
    assert list(studio.folder.iterdir()) == []


async def test_a_recording_that_cannot_be_used_is_told_and_may_be_made_again(studio: Studio) -> None:
    studio.sounds.refuse = 1
    assert await studio.call("123456" + "1" + "1" + "." + "1" + "1") == "kept"
    assert any(sound.endswith("studio_refused") for sound in studio.leg.played)
    assert len(studio.sounds.kept) == 1


async def test_who_presses_nothing_is_told_goodbye(studio: Studio) -> None:
    assert await studio.call("123456") == "left"
    assert studio.leg.played[-1] == "en/studio_goodbye"
    studio.sounds.state = SoundState.MISSING
    assert await studio.call("123456") == "left"
    assert "en/studio_nothing_yet" in studio.leg.played


async def test_a_prompt_that_is_no_more_is_not_recorded(studio: Studio) -> None:
    grant = RecordingCodes(lambda _most: 5)
    line = PhoneRecording(
        studio.sounds, grant, folder=studio.folder, dial="*77", language=lambda: "en", clock=studio.clock
    )
    line.give("zh", "welcome", by="admin")
    assert await line.serve(ScriptedLeg("000005", studio.clock), who="PJSIP/1001") == "left"


def codes() -> RecordingCodes:
    numbers = iter(range(100, 100_000))
    return RecordingCodes(lambda _most: next(numbers))


def test_codes_run_out() -> None:
    book = codes()
    grant = book.give("en", "welcome", by="admin", now=NOW)
    assert book.look(grant.code, who="a", now=NOW + LASTS - timedelta(seconds=1)) == grant
    assert book.look(grant.code, who="a", now=NOW + LASTS) is None


def test_a_new_code_takes_the_place_of_the_old_one_and_there_are_not_many() -> None:
    book = codes()
    first = book.give("en", "welcome", by="admin", now=NOW)
    second = book.give("en", "welcome", by="admin", now=NOW)
    assert book.look(first.code, who="a", now=NOW) is None
    assert book.look(second.code, who="a", now=NOW) == second
    for number in range(MOST_OUT - 1):
        book.give("en", f"prompt_{number}", by="admin", now=NOW)
    with pytest.raises(TooManyCodes):
        book.give("zh", "welcome", by="admin", now=NOW)
    book.give("zh", "welcome", by="admin", now=NOW + LASTS)


def test_guessing_is_limited_by_telephone_and_in_all() -> None:
    book = codes()
    grant = book.give("en", "welcome", by="admin", now=NOW)
    for _ in range(WRONG_OF_ONE):
        assert book.look("999999", who="a", now=NOW) is None
    assert book.look(grant.code, who="a", now=NOW) is None, "this telephone has guessed too often"
    assert book.look(grant.code, who="b", now=NOW) == grant
    for number in range(WRONG_OF_ALL):
        book.look("999999", who=f"phone {number}", now=NOW)
    assert book.look(grant.code, who="b", now=NOW) is None
    later = NOW + LASTS
    again = book.give("en", "welcome", by="admin", now=later)
    assert book.look(again.code, who="a", now=later) == again
