"""Lines of Asterisk's event ledger as 22.10.1 writes them, for tests: written, and read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def line(
    event: str,
    at: datetime,
    unique_id: str,
    channel: str,
    *,
    linked_id: str = "",
    peer: str = "",
    context: str = "",
    extension: str = "",
    extra: dict[str, object] | None = None,
) -> str:
    """One line, with its newline, every field quoted as CSV."""
    micros = (at - EPOCH) // timedelta(microseconds=1)
    fields = [
        event, f"{micros // 1_000_000}.{micros % 1_000_000:06d}", unique_id, linked_id or unique_id, channel, peer, context,
        extension, "", json.dumps(extra, separators=(",", ":")) if extra else "",
    ]  # fmt: skip
    return ",".join('"' + value.replace('"', '""') + '"' for value in fields) + "\n"


def own(event: str, at: datetime, unique_id: str, channel: str, *fields: str) -> str:
    """An event of the dialplan's own: its fields joined by "|"."""
    return line(event, at, unique_id, channel, extra={"extra": "|".join((unique_id, *fields))})


def bridge(event: str, at: datetime, unique_id: str, channel: str, *, bridge_id: str, call: str, peer: str = "") -> str:
    return line(
        event, at, unique_id, channel, linked_id=call, peer=peer,
        extra={"bridge_id": bridge_id, "bridge_technology": "simple_bridge"},
    )  # fmt: skip


def hangup(at: datetime, unique_id: str, channel: str, *, source: str, call: str = "", cause: int = 16) -> str:
    """HANGUP and CHAN_END of one channel."""
    extra: dict[str, object] = {"hangupcause": cause, "hangupsource": source, "dialstatus": ""}
    return line("HANGUP", at, unique_id, channel, linked_id=call, extra=extra) + line(
        "CHAN_END", at, unique_id, channel, linked_id=call
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A line as it is read: what tests compare."""

    event: str
    at: float
    channel: str
    """Its unique id."""
    call: str
    """The unique id of the channel that all began with (linked id)."""
    name: str
    """The channel's name."""
    extra: str

    @property
    def account(self) -> str:
        """The SIP account of a telephone's channel, "trunk" of an outside one."""
        return self.name.removeprefix("PJSIP/").rpartition("-")[0]

    @property
    def bridge(self) -> str:
        """Which bridge was entered or left."""
        return str(json.loads(self.extra)["bridge_id"])


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The whole lines, in the order of the file; the last may be half written."""
    for row in csv.reader(lines):
        if len(row) >= 10:
            yield Entry(row[0], float(row[1]), row[2], row[3], row[4], row[9])
