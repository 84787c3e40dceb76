"""Facts as bytes, and bytes as facts. Pure: no file is touched here.

Payload: one JSON object a fact, `{"fact": "<name of FACT_TYPES>", <every field>}`. Times are ISO 8601 in UTC with exactly
six decimals and a "Z"; enums are stored by value; tuples as arrays. Reading forgives what a newer version may have
written: unknown fields are ignored, missing fields take their default, and a fact that cannot be understood (unknown
name, unknown enum value) comes back as `Opaque`, so that it is neither lost nor acted upon.

Record: `length` (u32, little endian, of the payload) + `crc` (u32, CRC-32 of the length's bytes and the payload) + payload.
The checksum covers the length, so a tail of zeros (what a file system leaves after a power cut) is never a record.

Segment: a 44-byte head, then records. Positions count records from 0 over the life of a journal; they never repeat, and
they have gaps only where a torn tail was cut off.
"""

from __future__ import annotations

import math
import struct
import types
import typing
import zlib
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from enum import Enum
from typing import Any, NewType

import orjson

from cti.journal.errors import JournalError
from cti.model.fact_types import FACT_TYPES
from cti.model.facts import Fact

Position = NewType("Position", int)
"""Number of a record in its journal."""

_FRAME = struct.Struct("<II")
_HEAD = struct.Struct("<8s16sQQI")
_MAGIC = b"CTIJRNL1"
HEAD_LENGTH = _HEAD.size
MAX_PAYLOAD = 8 * 1024 * 1024
"""Bytes; a longer length field is damage, not a record."""

_NAMES: dict[type[Fact], bytes] = {cls: b'{"fact":"' + name.encode() + b'",' for name, cls in FACT_TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """A record this version cannot read as a fact; kept as it is. `name` is "" when not even that could be read."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One stored record: its place and its payload, not yet decoded."""

    position: Position
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What `replay` found. `good_length` is how many bytes, from the start, are whole and undamaged records."""

    records: tuple[Record, ...]
    good_length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHead:
    """The first bytes of a segment: which journal it belongs to (32 hexadecimal digits) and its first position."""

    journal_id: str
    first: Position


# --- writing -----------------------------------------------------------------------------------------------------


def iso(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000001Z`. Raises `ValueError` for a naive datetime: a fact without a zone means nothing."""
    if moment.tzinfo is None:
        raise ValueError(f"naive datetime in a fact: {moment!r}")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _default(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"a fact cannot hold {type(value).__name__}")


def _clean(value: Any) -> Any:
    """The value without what JSON or PostgreSQL refuse: NUL and lone surrogates become U+FFFD."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, tuple | list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _clean(getattr(value, field.name)) for field in fields(value)}
    return value


_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME


def encode(fact: Fact) -> bytes:
    """The payload of a fact.

    Text is made storable rather than refused (see `_clean`); a float that is no number is stored as null and read as 0.
    Raises `ValueError` for a naive datetime and `KeyError` for a class that is not in `FACT_TYPES`.
    """
    start = _NAMES[type(fact)]
    try:
        body = orjson.dumps(fact, default=_default, option=_OPTIONS)
        if b"\\u0000" not in body:
            return start + body[1:]
    except (TypeError, UnicodeEncodeError):
        pass  # a lone surrogate, or a naive datetime: the careful way cures the first and names the second
    return start + orjson.dumps(_clean(fact), option=_OPTIONS)[1:]


def frame(payload: bytes) -> bytes:
    """The payload as a record."""
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a record of {len(payload)} bytes cannot be stored (at most {MAX_PAYLOAD})")
    return _FRAME.pack(len(payload), _crc(len(payload), payload)) + payload


def _crc(length: int, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(length.to_bytes(4, "little")))


def segment_head(journal_id: str, first: Position) -> bytes:
    """The head of a new segment."""
    identity = bytes.fromhex(journal_id)
    body = _HEAD.pack(_MAGIC, identity, first, 0, 0)[:-4]
    return body + zlib.crc32(body).to_bytes(4, "little")


# --- reading -----------------------------------------------------------------------------------------------------


def read_segment_head(data: bytes) -> SegmentHead:
    """The head of a segment, from its first bytes. Raises `JournalError` when it is none."""
    if len(data) < HEAD_LENGTH:
        raise JournalError("the journal segment has no whole head", remedy="move the file away and start again")
    magic, identity, first, _reserved, crc = _HEAD.unpack_from(data)
    if magic != _MAGIC or zlib.crc32(data[: HEAD_LENGTH - 4]) != crc:
        raise JournalError(
            "the file is not a journal segment of this version, or its head is damaged",
            remedy="move the file away and start again",
        )
    return SegmentHead(journal_id=identity.hex(), first=Position(first))


def replay(data: bytes, first: Position = Position(0)) -> Replay:
    """Read records (without a segment's head) until the end or the first that is torn or damaged.

    `first` is the position of the first record in `data`.
    """
    records: list[Record] = []
    offset, position, view = 0, int(first), memoryview(data)
    while offset + _FRAME.size <= len(data):
        length, crc = _FRAME.unpack_from(data, offset)
        end = offset + _FRAME.size + length
        if not 0 < length <= MAX_PAYLOAD or end > len(data):
            break
        payload = view[offset + _FRAME.size : end]
        if _crc(length, payload) != crc:
            break
        records.append(Record(Position(position), bytes(payload)))
        offset, position = end, position + 1
    return Replay(records=tuple(records), good_length=offset)


def decode(payload: bytes | str) -> Fact | Opaque:
    """The fact of a payload, or `Opaque` when this version cannot read it. Never raises."""
    raw = payload.encode() if isinstance(payload, str) else payload
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Opaque(name="", payload=raw)
    name = body.get("fact") if isinstance(body, dict) else None
    if not isinstance(name, str):
        return Opaque(name="", payload=raw)
    cls = FACT_TYPES.get(name)
    if cls is None:
        return Opaque(name=name, payload=raw)
    values = {}
    try:
        for key, read, required in _READERS[cls]:
            if key in body:
                values[key] = read(body[key])
            elif required:
                return Opaque(name=name, payload=raw)
        return cls(**values)
    except (ValueError, TypeError):
        return Opaque(name=name, payload=raw)


def decoded(records: typing.Iterable[Record]) -> Iterator[tuple[Position, Fact]]:
    """The records that are facts, decoded; opaque ones are passed over."""
    for record in records:
        fact = decode(record.payload)
        if not isinstance(fact, Opaque):
            yield record.position, fact


_Read = Callable[[Any], Any]


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a stored time without a zone")
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError("a stored time that in another zone may be in no year")
    return moment


def _exactly(kind: type) -> _Read:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
        return value

    return read


def _number(value: Any) -> float:
    if value is None:
        return 0.0
    if type(value) not in (int, float):
        raise TypeError("expected a number")
    number = float(value)
    return number if math.isfinite(number) else 0.0


def _reader(kind: Any) -> _Read:
    """A function that turns a JSON value into a value of the annotated type, or raises `TypeError`/`ValueError`."""
    while hasattr(kind, "__supertype__"):
        kind = kind.__supertype__
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (item for item in arguments if item is not type(None))
        read_inner = _reader(inner)
        return lambda value: None if value is None else read_inner(value)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        read_item = _reader(arguments[0])
        return lambda value: tuple(read_item(item) for item in _exactly(list)(value))
    if origin is tuple:
        readers = [_reader(item) for item in arguments]
        return lambda value: tuple(read(item) for read, item in zip(readers, _exactly(list)(value), strict=True))
    if origin is dict:
        read_key, read_value = (_reader(item) for item in arguments)
        return lambda value: {read_key(key): read_value(item) for key, item in _exactly(dict)(value).items()}
    if kind is datetime:
        return _moment
    if kind is float:
        return _number
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if kind in (str, int, bool):
        return _exactly(kind)
    raise TypeError(f"facts cannot hold fields of type {kind!r}")


def _readers(cls: type[Fact]) -> tuple[tuple[str, _Read, bool], ...]:
    hints = typing.get_type_hints(cls)
    return tuple(
        (
            field.name,
            _reader(hints[field.name]),
            field.default is MISSING and field.default_factory is MISSING,
        )
        for field in fields(cls)
    )


_READERS: dict[type[Fact], tuple[tuple[str, _Read, bool], ...]] = {cls: _readers(cls) for cls in FACT_TYPES.values()}
