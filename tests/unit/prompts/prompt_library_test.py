"""The prompts of a running centre: states, uploads of every usual kind, versions, back to the voice."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from cti.errors import CtiError  # noqa: E402
from cti.prompts import PromptError, build_prompts  # noqa: E402
from cti.prompts.library import PromptLibrary  # noqa: E402
from cti.prompts.recordings import judge  # noqa: E402
from cti.prompts.sound import Audio, from_a_law, from_mu_law, mu_law  # noqa: E402
from cti.prompts.wave_file import read_wave, write_wave  # noqa: E402
from cti.services.prompt_sounds import RecordingRefused, SoundState, UnknownPrompt  # noqa: E402

MANIFEST = """voices: {en: espeak:tone, zh: espeak:tone}
prompts:
  hello: {en: Hello., zh: 你好。}
  bye: {en: Goodbye.}
"""


def tone(hertz: float, seconds: float = 1.0, rate: int = 16000, size: float = 0.3) -> Audio:
    return Audio(size * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate)


def pitch(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    return float(np.argmax(spectrum)) * audio.rate / len(audio.samples)


def packed(
    audio: Audio, kind: int, bits: int, channels: int = 1, *, extensible: bool = False, junk: bool = False
) -> bytes:
    """A WAV file of a kind that the standard library cannot write."""
    samples = np.repeat(audio.samples, channels)
    if kind == 3:
        data = samples.astype(f"<f{bits // 8}").tobytes()
    elif kind == 7:
        data = mu_law(Audio(samples, audio.rate))
    elif bits == 8:
        data = (np.rint(samples * 127) + 128).astype(np.uint8).tobytes()
    elif bits == 24:
        data = np.rint(samples * 8388607).astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    else:
        data = np.rint(samples * (2 ** (bits - 1) - 1)).astype(f"<i{bits // 8}").tobytes()
    size = bits // 8 * channels
    head = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, audio.rate, audio.rate * size, size, bits)
    if extensible:
        head += struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", kind) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    body = b"fmt " + struct.pack("<I", len(head)) + head
    if junk:
        body += b"LIST" + struct.pack("<I", 3) + b"abc\0"
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


class Toner:
    """A voice that hums."""

    hoarse = False

    def open(self, _name: str) -> Toner:
        return self

    def speak(self, text: str) -> Audio:
        if self.hoarse:
            raise PromptError("the voice is hoarse", remedy="tea")
        return tone(200.0 + 10 * len(text), 0.5)

    def close(self) -> None:
        pass


class Place:
    """A library in a folder, its voice and the changes it told of."""

    def __init__(self, folder: Path) -> None:
        self.manifest = folder / "prompts.yaml"
        self.manifest.write_text(MANIFEST, encoding="utf-8")
        self.out = folder / "prompts"
        self.voice = Toner()
        self.told: list[tuple[str, ...]] = []
        self.library = PromptLibrary(
            self.manifest, self.out, open_voice=self.voice.open, on_change=lambda *what: self.told.append(what)
        )

    def build(self) -> None:
        build_prompts(self.manifest, self.out, open_voice=self.voice.open)

    def heard(self, id_: str) -> float:
        """The pitch a caller hears, at 8 kHz; at 16 kHz it is the same."""
        narrow = pitch(Audio(from_mu_law((self.out / f"{id_}.ulaw").read_bytes()), 8000))
        wide = pitch(Audio(np.frombuffer((self.out / f"{id_}.sln16").read_bytes(), "<i2") / 32768.0, 16000))
        assert abs(narrow - wide) < 8
        return wide


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def state(place: Place, language: str, name: str) -> SoundState:
    return (await place.library.find(language, name)).state


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_every_usual_rate_are_read(rate: int, channels: int) -> None:
    audio = judge(packed(tone(440, rate=rate), 1, 16, channels))
    assert audio.rate == min(rate, 48000)
    assert abs(pitch(audio) - 440) < 3


@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (1, 16), (1, 24), (1, 32), (3, 32), (3, 64), (7, 8)])
@pytest.mark.parametrize("extensible", [False, True])
def test_files_of_every_usual_kind_are_read(kind: int, bits: int, extensible: bool) -> None:
    audio = judge(packed(tone(440), kind, bits, 2, extensible=extensible, junk=True))
    assert abs(pitch(audio) - 440) < 3
    assert abs(float(np.abs(audio.samples).max()) - 0.3) < 0.02


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_a_law_equals_the_standard_library() -> None:
    audioop = pytest.importorskip("audioop")
    codes = bytes(range(256))
    theirs = np.frombuffer(audioop.alaw2lin(codes, 2), "<i2") / 32768.0
    assert np.abs(from_a_law(codes) - theirs).max() < 1e-9


def test_what_streams_write_as_length_is_not_trusted() -> None:
    content = bytearray(write_wave(tone(440)))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    assert abs(pitch(read_wave(bytes(content))) - 440) < 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not a usable WAV"),
        (b"<html>", "not a usable WAV"),
        (b"ID3\x04" + b"\0" * 5000, "not a usable WAV"),
        (b"RIFF\0\0\0\0WAVE", "no sound in it"),
        (write_wave(tone(440))[:44], "too short"),
        (write_wave(tone(440, 0.1)), "too short"),
        (write_wave(tone(440, 121, rate=8000)), "too long"),
        (write_wave(tone(440, size=4.0)), "too loud"),
        (write_wave(tone(440, size=0.0)), "nothing to be heard"),
        (write_wave(tone(440, size=0.001)), "nothing to be heard"),
        (packed(tone(440), 2, 16), "of a kind we do not read"),
        (packed(Audio(np.full(16000, np.nan), 16000), 3, 32), "no numbers"),
        (packed(tone(440), 1, 16, 9), "9 channels"),
    ],
)
def test_what_cannot_be_a_prompt_is_refused_and_says_why(content: bytes, why: str) -> None:
    with pytest.raises(RecordingRefused, match=why) as refused:
        judge(content)
    assert refused.value.remedy


@given(st.binary(max_size=200), st.integers(0, 60))
def test_no_file_makes_it_fail_otherwise(noise: bytes, at: int) -> None:
    good = write_wave(tone(440, 0.02))
    for content in (noise, good[:at] + noise + good[at:], good[:at] + noise):
        try:
            judge(content)
        except RecordingRefused:
            pass


async def test_states_follow_what_is_there(place: Place) -> None:
    assert {sound.state for sound in await place.library.all()} == {SoundState.MISSING}
    await asyncio.to_thread(place.build)
    rows = await place.library.all()
    assert [(row.language, row.name) for row in rows] == [("en", "hello"), ("zh", "hello"), ("en", "bye")]
    assert {row.state for row in rows} == {SoundState.SYNTHETIC}
    await place.library.keep("en", "hello", write_wave(tone(700)), by="admin", how="upload")
    row = await place.library.find("en", "hello")
    assert (row.state, row.recorded, row.by, row.how, row.said) == (
        SoundState.RECORDED,
        True,
        "admin",
        "upload",
        "Hello.",
    )
    assert row.seconds == pytest.approx(1.3, abs=0.2)
    place.manifest.write_text(MANIFEST.replace("Hello.", "Good day.").replace("Goodbye.", "So long."), encoding="utf-8")
    assert await state(place, "en", "hello") is SoundState.OUTDATED, "the recording says the old text"
    assert await state(place, "en", "bye") is SoundState.OUTDATED, "so does the voice, until the next build"
    await asyncio.to_thread(place.build)
    assert await state(place, "en", "hello") is SoundState.OUTDATED
    assert await state(place, "en", "bye") is SoundState.SYNTHETIC
    await place.library.keep("en", "hello", write_wave(tone(710)), by="admin", how="phone")
    assert await state(place, "en", "hello") is SoundState.RECORDED


async def test_a_recording_wins_earlier_ones_are_kept_and_the_voice_comes_back(place: Place) -> None:
    await asyncio.to_thread(place.build)
    first = await place.library.keep("en", "hello", packed(tone(700, rate=44100), 1, 24, 2), by="ada", how="upload")
    assert abs(place.heard("en/hello") - 700) < 5
    second = await place.library.keep("en", "hello", write_wave(tone(900)), by="bo", how="phone")
    assert (first.number, second.number) == (1, 2)
    assert abs(place.heard("en/hello") - 900) < 5
    kept = await place.library.recordings("en", "hello")
    assert [(one.number, one.by, one.how, one.current) for one in kept] == [
        (2, "bo", "phone", True),
        (1, "ada", "upload", False),
    ]
    assert abs(pitch(read_wave(await place.library.listen("en", "hello", 1))) - 700) < 5
    assert abs(pitch(read_wave(await place.library.listen("en", "hello"))) - 900) < 5
    await place.library.use("en", "hello", 1, by="ada")
    assert abs(place.heard("en/hello") - 700) < 5
    row = await place.library.give_up("en", "hello", by="ada")
    assert (row.state, row.recorded, row.versions) == (SoundState.SYNTHETIC, False, 2)
    assert abs(place.heard("en/hello") - 260) < 5
    third = await place.library.keep("en", "hello", write_wave(tone(800)), by="ada", how="upload")
    assert third.number == 3, "numbers are never used again"
    assert [what[2] for what in place.told] == ["recorded", "recorded", "restored", "given_up", "recorded"]
    assert abs(place.heard("zh/hello") - 230) < 5, "nothing else changed"


async def test_a_refused_recording_changes_nothing(place: Place) -> None:
    await asyncio.to_thread(place.build)
    await place.library.keep("en", "hello", write_wave(tone(700)), by="ada", how="upload")
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    with pytest.raises(RecordingRefused):
        await place.library.keep("en", "hello", write_wave(tone(700, size=0.0)), by="ada", how="upload")
    assert {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()} == before


async def test_where_the_voice_cannot_speak_the_recording_stays(place: Place) -> None:
    await asyncio.to_thread(place.build)
    await place.library.keep("en", "hello", write_wave(tone(700)), by="ada", how="upload")
    place.manifest.write_text(MANIFEST.replace("Hello.", "Good day."), encoding="utf-8")
    place.voice.hoarse = True
    with pytest.raises(CtiError, match="hoarse"):
        await place.library.give_up("en", "hello", by="ada")
    assert (await place.library.find("en", "hello")).recorded
    assert abs(place.heard("en/hello") - 700) < 5


async def test_the_way_back_needs_no_voice_where_the_text_is_the_same(place: Place) -> None:
    await asyncio.to_thread(place.build)
    await place.library.keep("en", "hello", write_wave(tone(700)), by="ada", how="upload")
    place.voice.hoarse = True
    assert (await place.library.give_up("en", "hello", by="ada")).state is SoundState.SYNTHETIC
    assert abs(place.heard("en/hello") - 260) < 5
    await asyncio.to_thread(place.build)  # nothing is due


async def test_a_file_put_there_by_hand_is_kept_when_another_takes_its_place(place: Place) -> None:
    await asyncio.to_thread(place.build)
    file = place.out / "recorded" / "en" / "bye.wav"
    file.parent.mkdir(parents=True)
    file.write_bytes(write_wave(tone(600)))
    assert await state(place, "en", "bye") is SoundState.OUTDATED, "not built yet"
    await asyncio.to_thread(place.build)
    row = await place.library.find("en", "bye")
    assert (row.state, row.how, row.versions) == (SoundState.RECORDED, "file", 0)
    await place.library.keep("en", "bye", write_wave(tone(900)), by="ada", how="upload")
    kept = await place.library.recordings("en", "bye")
    assert [(one.number, one.how) for one in kept] == [(2, "upload"), (1, "file")]
    await place.library.use("en", "bye", 1, by="ada")
    assert abs(place.heard("en/bye") - 600) < 5


async def test_only_prompts_that_are_there_have_sounds(place: Place) -> None:
    for language, name in (("en", "nothing"), ("zh", "bye"), ("..", "hello"), ("en", "../hello")):
        with pytest.raises(UnknownPrompt):
            await place.library.keep(language, name, write_wave(tone(700)), by="ada", how="upload")
        with pytest.raises(UnknownPrompt):
            await place.library.listen(language, name)
    with pytest.raises(UnknownPrompt):
        await place.library.use("en", "hello", 7, by="ada")


async def test_changes_at_the_same_time_are_made_one_after_the_other(place: Place) -> None:
    await asyncio.to_thread(place.build)
    keeps = (
        place.library.keep("en", "hello", write_wave(tone(600 + 50 * n)), by="ada", how="upload") for n in range(4)
    )
    made = await asyncio.gather(*keeps)
    assert sorted(one.number for one in made) == [1, 2, 3, 4]
    (current,) = [one for one in await place.library.recordings("en", "hello") if one.current]
    assert (
        abs(place.heard("en/hello") - pitch(read_wave(await place.library.listen("en", "hello", current.number)))) < 8
    )
