"""A process that speaks with the espeak-ng library out of the `espeakng-loader` wheel, for machines without espeak-ng.

Called as `python -m cti.prompts.espeak_worker VOICE WORDS_PER_MINUTE`. Reads one JSON string a line; answers each with
rate and number of bytes (two unsigned 32-bit numbers, little end first), then that many bytes of 16-bit mono sound.
API: espeak-ng's `speak_lib.h`.
"""

from __future__ import annotations

import ctypes
import json
import struct
import sys
from importlib import import_module

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, within espeak_Synth
_DO_NOT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
_UTF8 = 1  # espeakCHARS_UTF8
_RATE = 1  # espeakRATE: words a minute


def main(voice: str, words_per_minute: int) -> int:
    """Speak until standard input ends. Gives the exit code."""
    try:
        espeakng_loader = import_module("espeakng_loader")
    except ImportError:
        return _fail("espeakng-loader is not installed")
    library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(espeakng_loader.get_data_path()).encode(), _DO_NOT_EXIT)
    if rate <= 0:
        return _fail("espeak-ng found no data")
    sound: list[bytes] = []

    def keep(samples: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if samples and count > 0:
            sound.append(ctypes.string_at(samples, 2 * count))
        return 0

    # Kept in a variable: the library calls it for as long as it speaks.
    callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)(keep)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        return _fail(f"espeak-ng has no voice {voice}")
    library.espeak_SetParameter(_RATE, words_per_minute, 0)
    for line in sys.stdin.buffer:
        text = json.loads(line).replace("\0", "").encode()
        sound.clear()
        buffer = ctypes.create_string_buffer(text)
        if library.espeak_Synth(buffer, ctypes.c_size_t(len(buffer)), 0, 1, 0, _UTF8, None, None) != 0:
            return _fail("espeak-ng refused a text")
        library.espeak_Synchronize()
        content = b"".join(sound)
        sys.stdout.buffer.write(struct.pack("<II", rate, len(content)) + content)
        sys.stdout.buffer.flush()
    return 0


def _fail(reason: str) -> int:
    sys.stderr.write(reason + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
