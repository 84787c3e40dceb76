"""Fuzz the decoders and the flow language.

    python -m tests.fuzz.fuzz [--runs 100000] [--rounds 1] [--seconds 0] [--seed 1] [--only agi_replies,expression] [--guided]

Inputs are made from seeds by random changes; the same seed makes the same inputs. With `--guided` atheris (pip install atheris)
chooses them by the code they reach. Prints for each target how many were tried and the slowest; a broken promise is
printed with its input, and the exit status is 1. `--runs` is divided by a target's `share`; Ctrl-C tells how far it came.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import sys
import time
import traceback
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz.decoder_targets import TARGETS
from tests.fuzz.fuzz_targets import FuzzTarget

LONGEST = 6000
HANGS = 20.0
"""Seconds of processor time after which an input is said to hang."""
WATCHED = 64
"""So many inputs are watched at a time: nothing that costs anything is done for each."""
ended: list[str] = []
"""The target at which somebody ended it: SIGTERM or Ctrl-C; it tells how far it came."""


def changed(target: FuzzTarget, chance: random.Random) -> bytes:
    """A new input: mostly a seed changed in a few places, of bytes, of lines, of numbers, or, where it is JSON, of values."""
    way = chance.random()
    if way < 0.05:
        return chance.randbytes(chance.randrange(200))
    data = chance.choice(target.seeds)
    if way < 0.30 and (known := _json_of(data)) is not None:
        head, value = known
        for _ in range(1 + chance.randrange(3)):
            value = odder(value, chance)
        data = head + written(value)
    elif way < 0.45:
        data = of_lines(data, chance)
    elif way < 0.55:
        data = NUMBER.sub(lambda found: chance.choice(NUMBERS) if chance.random() < 0.3 else found[0], data)
    if way < 0.55 and chance.random() < 0.6:
        return data[:LONGEST]
    return of_bytes(data, target, chance)[:LONGEST]


NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
NUMBERS = (
    b"0", b"-0", b"-1", b"1", b"00", b"007", b"127", b"128", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648",
    b"-2147483649", b"4294967296", b"9223372036854775807", b"9223372036854775808", b"9007199254740993", b"1e3", b"1e308",
    b"1e999", b"-1e999", b"0.1", b"1.", b".5", b"0x10", b"1_000", b"NaN", b"Infinity", b"", b"+1", b"\xd9\xa1\xd9\xa2", b"9" * 400,
)  # fmt: skip
"""At and beyond the edges of what numbers are kept in, and other ways to write them."""
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, 2**64, 10**40, 1e308, float("inf"), float("nan"), "", " ", "0", "null", "a" * 300,
    "\ud800", "\u0000", "\r\n", "\u202e", "2026-02-30", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "+1", "[", [], {}, [[]],
    [None], {"": None},
)  # fmt: skip
DEEP = 200


@cache
def _json_of(data: bytes) -> tuple[bytes, Any] | None:
    """A seed that is JSON, or JSON behind one byte that says for whom."""
    for head in (0, 1):
        try:
            return data[:head], json.loads(data[head:])
        except ValueError:
            continue
    return None


def written(value: Any) -> bytes:
    """JSON as hostile programs write it: half signs and infinities, too."""
    return json.dumps(value, ensure_ascii=value == "" or len(str(value)) % 2 == 0).encode("utf-8", "surrogatepass")


def odder(value: Any, chance: random.Random, depth: int = 0) -> Any:
    """The value with one thing in it changed: replaced, taken away, doubled, renamed, put deeper."""
    if depth < 6 and chance.random() < 0.85:
        if isinstance(value, dict) and value:
            name = chance.choice(list(value))
            rest = {key: one for key, one in value.items() if key != name}
            match chance.randrange(8):
                case 0:
                    return rest
                case 1:
                    return {**rest, chance.choice(("", name * 2, name.upper(), "__proto__", "\u0000")): value[name]}
                case 2:
                    return {**value, chance.choice(("x", "id", "type")): chance.choice(VALUES)}
                case _:
                    return {**value, name: odder(value[name], chance, depth + 1)}
        if isinstance(value, list) and value:
            place = chance.randrange(len(value))
            match chance.randrange(6):
                case 0:
                    return value[:place] + value[place + 1 :]
                case 1:
                    return value[: place + 1] * (2 + chance.randrange(40))
                case _:
                    return [*value[:place], odder(value[place], chance, depth + 1), *value[place + 1 :]]
    if chance.random() < 0.1:
        for _ in range(chance.randrange(DEEP)):
            value = [value] if chance.random() < 0.5 else {"a": value}
        return value
    return chance.choice(VALUES)


def of_lines(data: bytes, chance: random.Random) -> bytes:
    """Lines, or what stands between other marks, taken away, doubled, moved, or torn out of another's middle."""
    mark = chance.choice([one for one in (b"\r\n", b"\n", b"&", b",", b"\xff", b" ", b":") if one in data] or [b"\n"])
    lines = data.split(mark)
    for _ in range(1 + chance.randrange(4)):
        at, to = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(5):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(to, lines[at])
            case 2:
                lines[at], lines[to] = lines[to], lines[at]
            case 3:
                lines[at] = lines[at] * (2 + chance.randrange(30))
            case _:
                lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)] + lines[to]
    return mark.join(lines)


def of_bytes(seed: bytes, target: FuzzTarget, chance: random.Random) -> bytes:
    """Bytes changed, put in, taken away, in a few places."""
    data = bytearray(seed)
    for _ in range(1 + chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(7):
            case 0 if data:
                data[at % len(data)] = chance.randrange(256)
            case 1:
                data[at:at] = chance.choice(target.pieces)
            case 2:
                del data[at : at + 1 + chance.randrange(12)]
            case 3:
                data[at:at] = chance.randbytes(1 + chance.randrange(8))
            case 4:
                other = chance.choice(target.seeds)
                start = chance.randrange(len(other) + 1)
                data[at:at] = other[start : start + chance.randrange(80)]
            case 5:
                data[at:at] = chance.choice(target.pieces) * (2 + chance.randrange(60))
            case _:
                data[at:at] = data[at : at + chance.randrange(40)]
    return bytes(data)


def took(target: FuzzTarget, data: bytes) -> float:
    """Try one input; the processor time it took, in seconds: of a slow one the least of five, for others run here, too."""
    least = float("inf")
    for _ in range(5):
        began = time.process_time()
        target.run(data)
        least = min(least, time.process_time() - began)
        if least <= target.slowest:
            break
    return least


def fuzz(target: FuzzTarget, *, runs: int, seconds: float, seed: int) -> tuple[int, float]:
    """Try inputs until both are used up (0: does not count). Gives how many, and the slowest in seconds.

    Raises `AssertionError`, or whatever came out, with the input as a note.
    """
    chance = random.Random(f"{target.name} {seed}")
    end = time.monotonic() + seconds
    before = signal.signal(signal.SIGVTALRM, _hangs)
    try:
        return _tries(target, chance, runs=runs, end=end if seconds else 0.0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _hangs(_signal: int, _frame: FrameType | None) -> None:
    raise AssertionError(f"hangs: more than {HANGS:.0f} s")


def _tries(target: FuzzTarget, chance: random.Random, *, runs: int, end: float) -> tuple[int, float]:
    tried, slowest = 0, 0.0
    while tried < runs or (end and time.monotonic() < end):
        if tried % WATCHED == 0:
            signal.setitimer(signal.ITIMER_VIRTUAL, HANGS)
        data = b""
        try:
            data = changed(target, chance)
            slowest = max(slowest, took(target, data))
            assert slowest <= target.slowest, f"took {slowest * 1000:.0f} ms"
        except KeyboardInterrupt:
            ended.append(target.name)
            break
        except BaseException as error:
            error.add_note(f"{target.name}: {data!r}")
            raise
        tried += 1
    return tried, slowest


def guided(target: FuzzTarget, runs: int) -> None:
    """The same by coverage. atheris ends the process itself."""
    import atheris

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-runs={runs}", "-max_len=4096", "-timeout=5"], target.run)
    atheris.Fuzz()


def main() -> None:
    """Read the options and fuzz."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="so many times, with a seed of its own each")
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--guided", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed: set[str] = set()
    told: dict[str, tuple[int, float]] = {}
    began = time.monotonic()
    for turn in range(options.rounds):
        for name in options.only.split(","):
            target = TARGETS[name]
            if options.guided:
                guided(target, options.runs)
            runs = max(1, options.runs // target.share)
            try:
                tried, slowest = fuzz(target, runs=runs, seconds=options.seconds, seed=options.seed + turn)
            except Exception:
                traceback.print_exc()
                failed.add(name)
                continue
            before = told.get(name, (0, 0.0))
            told[name] = before[0] + tried, max(before[1], slowest)
            if ended:
                break
        for name, (tried, slowest) in told.items():
            print(f"{name:16} {tried:>10,} inputs, slowest {slowest * 1000:.1f} ms")
        total, until = sum(tried for tried, _ in told.values()), time.monotonic() - began
        print(
            f"{total:,} inputs, seeds {options.seed} to {options.seed + turn}, {until:.0f} s; failed: {sorted(failed)}",
            flush=True,
        )
        if ended:
            break
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
