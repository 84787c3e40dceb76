"""Reading WAV files as people have them: 8 to 64 bits, floating point, A-law and mu-law, one channel or several.

The standard library reads whole numbers only, and not the extensible header many programs write.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cti.prompts.errors import PromptError
from cti.prompts.sound import Audio, from_a_law, from_mu_law, pcm16

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float64]

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
SLOWEST, FASTEST = 8000, 192000
"""Samples a second."""
MOST_CHANNELS = 8
REMEDY = "save it as WAV: PCM, 16 bit, 8 to 48 kHz"


def read_recorded(path: Path) -> Audio:
    """A recording in one of the three forms (`.wav`, `.sln16`, `.ulaw`). Raises `PromptError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PromptError(f"{path}: {error.strerror or error}", remedy=REMEDY) from None
    if path.suffix == ".wav":
        return read_wave(content, str(path))
    if path.suffix == ".sln16":
        return Audio(_whole(2, content[: len(content) // 2 * 2]), 16000)
    return Audio(from_mu_law(content), 8000)


def write_wave(audio: Audio) -> bytes:
    """A WAV file: 16 bit, one channel."""
    data = pcm16(audio)
    header = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, PCM, 1, audio.rate, 2 * audio.rate, 2, 16
    )
    return header + struct.pack("<4sI", b"data", len(data)) + data


def read_wave(content: bytes, name: str = "the file") -> Audio:
    """A WAV file's sound, its channels mixed to one. Raises `PromptError`."""
    import numpy as np

    kind, channels, rate, bits, data = _chunks(content, name)
    if not 1 <= channels <= MOST_CHANNELS or not SLOWEST <= rate <= FASTEST:
        raise PromptError(f"{name}: {channels} channels at {rate} Hz", remedy=REMEDY)
    if (kind, bits) not in _READERS:
        raise PromptError(f"{name}: a WAV file of a kind we do not read ({kind}, {bits} bit)", remedy=REMEDY)
    size = bits // 8 * channels
    samples = _READERS[kind, bits](data[: len(data) // size * size])
    if not np.isfinite(samples).all():
        raise PromptError(f"{name}: it has samples that are no numbers", remedy=REMEDY)
    return Audio(np.clip(samples.reshape(-1, channels).mean(axis=1), -1.0, 1.0), rate)


def _chunks(content: bytes, name: str) -> tuple[int, int, int, int, bytes]:
    """Kind, channels, rate, bits and samples. Sizes in the file are not trusted: programs that stream write 0 or -1."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise PromptError(f"{name}: not a usable WAV file (it begins with something else)", remedy=REMEDY)
    header: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(content):
        tag, size = content[at : at + 4], struct.unpack_from("<I", content, at + 4)[0]
        body = content[at + 8 : at + 8 + size]
        if tag == b"fmt " and len(body) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if kind == EXTENSIBLE and len(body) >= 26:
                kind = struct.unpack_from("<H", body, 24)[0]
            header = (kind, channels, rate, bits)
        elif tag == b"data" and header is not None:
            return (*header, body)
        at += 8 + size + size % 2
    raise PromptError(f"{name}: not a usable WAV file (there is no sound in it)", remedy=REMEDY)


def _whole(width: int, content: bytes) -> Samples:
    """Whole numbers of `width` bytes, little end first; those of one byte have no sign."""
    import numpy as np

    if width == 1:
        return (np.frombuffer(content, dtype=np.uint8).astype(np.float64) - 128.0) / 128.0
    if width == 3:
        wide = np.zeros((len(content) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(content, dtype=np.uint8).reshape(-1, 3)
        return np.asarray(wide.reshape(-1).view("<i4").astype(np.float64) / 2147483648.0)
    scale = float(2 ** (8 * width - 1))
    return np.asarray(np.frombuffer(content, dtype=f"<i{width}").astype(np.float64) / scale)


def _floating(width: int, content: bytes) -> Samples:
    import numpy as np

    return np.asarray(np.frombuffer(content, dtype=f"<f{width}").astype(np.float64))


_READERS: Mapping[tuple[int, int], Callable[[bytes], Samples]] = {
    **{(PCM, 8 * width): partial(_whole, width) for width in (1, 2, 3, 4)},
    **{(FLOAT, 8 * width): partial(_floating, width) for width in (4, 8)},
    (A_LAW, 8): from_a_law,
    (MU_LAW, 8): from_mu_law,
}
"""(kind, bits) -> samples from -1 to 1."""
