"""AMI events a second: our reader beside panoramisk's own parsing, in one run over the same recorded bytes.

    python benchmarks/ami_parse.py [--rounds 9] [--copies 200]

Absolute numbers belong to the machine; the ratio of neighbouring runs is what to compare. Each round times every way
once, in turn, so that a slow moment of the machine hits all alike; the ratio is taken within a round, and its median and
range over the rounds are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from cti.asterisk.ami.translate import Translator, accounts_of
from cti.asterisk.ami.wire import AmiMessage, AmiReader
from cti.ids import AgentId

RECORDING = Path(__file__).parents[1] / "tests" / "recordings" / "ami" / "asterisk-22.10.1-answered.ami"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
FIELDS = ("Event", "Channel", "Uniqueid", "Cause", "Context", "Exten", "Timestamp", "ChannelState")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class CountingFactory:
    """Where panoramisk's protocol hands its events."""

    forgetable_actions: tuple[str, ...] = ()
    save_stream = None

    def __init__(self, fields: int) -> None:
        self.count = 0
        self._names = FIELDS[:fields]

    def dispatch(self, message: Message) -> None:
        self.count += 1
        for name in self._names:
            message.get(name)


def theirs(pieces: list[bytes], fields: int) -> int:
    """panoramisk's AMIProtocol, as its Manager sets it up, without any pattern to match."""
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = factory = CountingFactory(fields)
    protocol.encoding = "utf8"
    for piece in pieces:
        protocol.data_received(piece)
    return factory.count


def ours(pieces: list[bytes], fields: int) -> int:
    """Our reader; `fields` headers of each event looked up."""
    reader, names, count = AmiReader(), FIELDS[:fields], 0
    for piece in pieces:
        for message in reader.feed(piece):
            count += 1
            for name in names:
                message.get(name)
    return count


def translated(pieces: list[bytes], fields: int) -> int:
    """Our reader and the translation to signals, as the product runs it."""
    reader, count = AmiReader(), 0
    translator = Translator(accounts_of([AgentId("1001")]))
    for piece in pieces:
        for message in reader.feed(piece):
            count += 1
            translator.signal(message, NOW)
    return count


def events_of(recording: Path) -> bytes:
    """The events alone, without banner and answers."""
    reader = AmiReader()
    messages: list[AmiMessage] = reader.feed(recording.read_bytes())
    return b"".join(m.block + b"\r\n\r\n" for m in messages if m.event and not m.action_id)


def rate(way: Callable[[list[bytes], int], int], pieces: list[bytes], fields: int, events: int) -> float:
    """Events a second of one run; checks that none was lost."""
    gc.collect()
    began = time.perf_counter()
    count = way(pieces, fields)
    seconds = time.perf_counter() - began
    assert count == events, f"{way.__name__} read {count} of {events} events"
    return count / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--copies", type=int, default=200, help="how often the recorded call is repeated")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    asyncio.set_event_loop(asyncio.new_event_loop())

    call = events_of(RECORDING)
    events = (call.count(b"\r\n\r\n")) * options.copies
    stream = BANNER + call * options.copies
    print(f"{events} events, {len(stream)} bytes a run; {options.rounds} rounds")
    print(f"{'pieces':>8} {'fields read':>12} {'panoramisk/s':>13} {'ours/s':>10} {'ratio: median (range)':>26}")
    for size in (1448, 65536):
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        for label, way, fields in (
            ("none", ours, 0), ("3", ours, 3), ("8", ours, 8), ("translated", translated, 3),
        ):  # fmt: skip
            rows = [
                (rate(theirs, pieces, fields, events), rate(way, pieces, fields, events)) for _ in range(options.rounds)
            ]
            ratios = sorted(b / a for a, b in rows)
            print(
                f"{size:>8} {label:>12} {statistics.median(a for a, _ in rows):>13,.0f}"
                f" {statistics.median(b for _, b in rows):>10,.0f}"
                f"        {statistics.median(ratios):>6.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            )


if __name__ == "__main__":
    main()
