"""Sound as numbers: brought to one loudness, resampled, written as Asterisk plays it.

Nothing here imports numpy before a sound is made: the bridge itself never needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cti.prompts.errors import PromptError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

LOUDNESS = -19.0
"""Level of speech, dB below full scale, measured over the frames in which somebody speaks, as it is heard at `HEARD_RATE`."""

HEARD_RATE = 8000
"""Samples a second of the telephone's band."""

SHORTEST = 0.12
"""Seconds of speech below which a sound counts as a failure of the voice."""

_LEAD, _TAIL = 0.04, 0.24
"""Seconds of silence before a sound and after it."""


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """Mono sound; samples from -1 to 1 at `rate` Hz."""

    samples: Samples
    rate: int


def speech_frames(audio: Audio) -> tuple[Samples, NDArray[np.bool_]]:
    """Root mean square of each 20 ms frame, and which frames hold speech (within 35 dB of the loudest)."""
    import numpy as np

    size = audio.rate // 50
    count = len(audio.samples) // size
    if count == 0:
        return np.zeros(0), np.zeros(0, dtype=np.bool_)
    levels = np.sqrt((audio.samples[: count * size].reshape(count, size) ** 2).mean(axis=1))
    return levels, (levels > levels.max() * 10 ** (-35 / 20)) & (levels > 1e-4)


def level_speech(audio: Audio) -> Audio:
    """Trim silence at both ends and bring speech to `LOUDNESS`. Raises `PromptError` when there is no speech."""
    import numpy as np

    offset = float(np.mean(audio.samples)) if len(audio.samples) else 0.0
    audio = Audio(audio.samples - offset, audio.rate)
    levels, active = speech_frames(audio)
    size = audio.rate // 50
    if active.sum() * 0.02 < SHORTEST:
        raise PromptError("there is no speech in it, only silence", remedy="check the text, the voice or the recording")
    where = np.flatnonzero(active)
    # A frame more on each side keeps soft beginnings and endings.
    first, last = max(0, int(where[0]) - 1) * size, min(len(levels), int(where[-1]) + 2) * size
    speech = audio.samples[first:last]
    loudness = float(np.sqrt((levels[active] ** 2).mean()))
    speech = _limit(speech * (10 ** (LOUDNESS / 20) / loudness))
    fade = np.linspace(0.0, 1.0, max(2, audio.rate // 200))
    speech[: len(fade)] *= fade
    speech[-len(fade) :] *= fade[::-1]
    silence = (np.zeros(int(_LEAD * audio.rate)), np.zeros(int(_TAIL * audio.rate)))
    sound = Audio(np.concatenate([silence[0], speech, silence[1]]), audio.rate)
    # Most callers hear the telephone's band: in a short word that ends softly and high it can be 3 dB louder than the whole.
    levels, active = speech_frames(resample(sound, HEARD_RATE))
    heard = float(np.sqrt((levels[active] ** 2).mean()))
    return Audio(_limit(sound.samples * (10 ** (LOUDNESS / 20) / heard)), audio.rate)


def _limit(samples: Samples) -> Samples:
    """Bend peaks above 0.7 so that none passes 0.95; below it nothing changes."""
    import numpy as np

    size = np.abs(samples)
    bent = 0.7 + 0.25 * np.tanh((size - 0.7) / 0.25)
    return np.asarray(np.where(size > 0.7, np.sign(samples) * bent, samples), dtype=np.float64)


def resample(audio: Audio, rate: int) -> Audio:
    """The same sound at another rate, band-limited to what that rate can carry (by cutting its spectrum)."""
    import numpy as np
    from numpy.fft import irfft, rfft

    if audio.rate == rate or len(audio.samples) == 0:
        return Audio(audio.samples, rate)
    divisor = np.gcd(audio.rate, rate)
    up, down = rate // divisor, audio.rate // divisor
    # Silence behind the end keeps the wrap-around of the transform away from the beginning, and makes both lengths whole.
    margin = audio.rate // 20
    blocks = -(-(len(audio.samples) + margin) // down)
    padded = np.zeros(blocks * down)
    padded[: len(audio.samples)] = audio.samples
    spectrum = rfft(padded)
    length = blocks * up
    bins = length // 2 + 1
    kept = np.zeros(bins, dtype=np.complex128)
    shared = min(bins, len(spectrum))
    kept[:shared] = spectrum[:shared]
    # A soft edge over the last 8 % of the band: a sharp one rings.
    edge = max(1, int(shared * 0.08))
    kept[shared - edge : shared] *= 0.5 * (1 + np.cos(np.linspace(0, np.pi, edge)))
    samples = irfft(kept, length) * (up / down)
    return Audio(samples[: len(audio.samples) * up // down], rate)


def pcm16(audio: Audio) -> bytes:
    """Signed linear, 16 bit, little end first."""
    import numpy as np

    return np.clip(np.rint(audio.samples * 32768.0), -32768, 32767).astype("<i2").tobytes()


_BIAS, _CLIP = 0x84, 32635


def mu_law(audio: Audio) -> bytes:
    """ITU-T G.711 mu-law, one byte a sample."""
    import numpy as np

    linear = np.clip(np.rint(audio.samples * 32768.0), -32768, 32767).astype(np.int32)
    sign = np.where(linear < 0, 0x80, 0)
    biased = np.minimum(np.abs(linear), _CLIP) + _BIAS
    exponent = np.frexp(biased.astype(np.float64))[1] - 8
    mantissa = (biased >> (exponent + 3)) & 0x0F
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code.tobytes()


def from_mu_law(content: bytes) -> Samples:
    """Samples of G.711 mu-law."""
    import numpy as np

    code = ~np.frombuffer(content, dtype=np.uint8).astype(np.int32) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    size = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -size, size) / 32768.0


def from_a_law(content: bytes) -> Samples:
    """Samples of G.711 A-law."""
    import numpy as np

    code = np.frombuffer(content, dtype=np.uint8).astype(np.int32) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 0x0F
    size = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return np.asarray(np.where(code & 0x80, size, -size) / 32768.0)
