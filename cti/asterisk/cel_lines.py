"""Lines of Asterisk's event ledger (CEL), as `cel_custom` writes them: one CSV line an event. Pure: bytes in, values out."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cti.asterisk.cel_known import EPOCH

COLUMNS = (
    "event", "at", "unique_id", "linked_id", "channel", "bridge_peer", "context", "extension", "number", "extra",
)  # fmt: skip
"""The ledger's columns, as asterisk_conf/cel_custom.conf.j2 writes them."""
LONGEST_LINE = 16 * 1024
_AT = re.compile(r"([0-9]{1,11})\.([0-9]{6})\Z")
_EVENT = re.compile(r"[A-Z][A-Z0-9_]{0,63}\Z")
_UNIQUE = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_TORN = re.compile(r'"[A-Z][A-Z_]{3,40}","[0-9]{1,11}\.[0-9]{6}",')


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One line. `extra` is an event's JSON object; of our own events, its `extra` member split at "|"."""

    event: str
    at: datetime
    unique_id: str
    linked_id: str
    channel: str
    peers: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    extra: Mapping[str, object] = field(default_factory=dict)
    offset: int = 0
    """Where the line begins, in bytes from the start of the file."""

    @property
    def bridge_id(self) -> str:
        """The bridge of a BRIDGE_ENTER or BRIDGE_EXIT; empty elsewhere."""
        value = self.extra.get("bridge_id")
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRead:
    """A stretch of the ledger. Read on from `position`; `skipped` lines were torn or foreign."""

    events: tuple[LedgerEvent, ...]
    position: int
    skipped: int


def read_ledger(data: bytes, *, offset: int = 0) -> LedgerRead:
    """Read whole lines of `data`, which begins at byte `offset` of the file; a torn last line is left for the next time.

    A line that cannot be read (Asterisk was killed while writing it) is skipped; the line written behind its torn end
    is found again.
    """
    events: list[LedgerEvent] = []
    skipped = 0
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        text = data[start:end].decode("utf-8", "replace")
        event = _event(text, offset + start)
        if event is None and text:
            skipped += 1
            torn = list(_TORN.finditer(text))
            if torn and torn[-1].start() > 0:
                event = _event(text[torn[-1].start() :], offset + start)
        if event is not None:
            events.append(event)
        start = end + 1
    return LedgerRead(events=tuple(events), position=offset + start, skipped=skipped)


def _event(line: str, offset: int) -> LedgerEvent | None:
    if len(line) > LONGEST_LINE:
        return None
    try:
        row = next(csv.reader([line], strict=True), [])
    except csv.Error:
        return None
    if len(row) != len(COLUMNS):
        return None
    event, moment, unique_id, linked_id, channel, peers, _context, _extension, _number, extra = row
    found = _AT.match(moment)
    if found is None or not _EVENT.match(event) or not _UNIQUE.match(unique_id):
        return None
    try:
        at = EPOCH + timedelta(seconds=int(found[1]), microseconds=int(found[2]))
        tree = json.loads(extra) if extra else {}
    except (OverflowError, ValueError, RecursionError):
        return None
    if not isinstance(tree, dict):
        return None
    own = tree.get("extra")
    return LedgerEvent(
        event=event,
        at=at,
        unique_id=unique_id,
        linked_id=linked_id,
        channel=channel,
        peers=tuple(name for name in peers.split(",") if name),
        fields=tuple(own.split("|")) if isinstance(own, str) else (),
        extra=tree,
        offset=offset,
    )
