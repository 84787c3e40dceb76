"""Fuzz the decoders and the flow language.

    python -m tests.fuzz.fuzz [--runs 100000] [--seconds 0] [--seed 1] [--only agi_replies,expression] [--guided]

Inputs are made from seeds by random changes; the same seed makes the same inputs. With `--guided` atheris (pip install atheris)
chooses them by the code they reach. Prints for each target how many were tried and the slowest; a broken promise is
printed with its input, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz.fuzz_targets import SLOWEST, TARGETS, FuzzTarget

LONGEST = 6000


def changed(target: FuzzTarget, chance: random.Random) -> bytes:
    """A new input: a seed, or two joined, changed in a few places."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(200))
    data = bytearray(chance.choice(target.seeds))
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
    return bytes(data[:LONGEST])


def took(target: FuzzTarget, data: bytes) -> float:
    """Try one input; the processor time it took, in seconds: of a slow one the least of five, for others run here, too."""
    least = float("inf")
    for _ in range(5):
        began = time.process_time()
        target.run(data)
        least = min(least, time.process_time() - began)
        if least <= SLOWEST:
            break
    return least


def fuzz(target: FuzzTarget, *, runs: int, seconds: float, seed: int) -> tuple[int, float]:
    """Try inputs until both are used up (0: does not count). Gives how many, and the slowest in seconds.

    Raises `AssertionError`, or whatever came out, with the input as a note.
    """
    chance = random.Random(f"{target.name} {seed}")
    end = time.monotonic() + seconds
    tried, slowest = 0, 0.0
    while tried < runs or (seconds and time.monotonic() < end):
        data = changed(target, chance)
        try:
            slowest = max(slowest, took(target, data))
            assert slowest <= SLOWEST, f"took {slowest * 1000:.0f} ms"
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
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--guided", action="store_true")
    options = parser.parse_args()
    failed = 0
    for name in options.only.split(","):
        target = TARGETS[name]
        if options.guided:
            guided(target, options.runs)
        began = time.monotonic()
        try:
            tried, slowest = fuzz(target, runs=options.runs, seconds=options.seconds, seed=options.seed)
        except Exception:
            traceback.print_exc()
            failed += 1
            continue
        print(
            f"{name:16} {tried:>10,} inputs, seed {options.seed}, slowest {slowest * 1000:.1f} ms, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
