"""However the network cuts the stream, the same messages come out; whatever bytes come, nothing but messages comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.ami.translate import Translator, accounts_of
from cti.asterisk.ami.wire import AmiMessage, AmiReader
from cti.ids import AgentId
from cti.model.signals import Signal

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
RECORDINGS = sorted((Path(__file__).parents[2] / "recordings" / "ami").glob("*.ami"))

# Bytes that are likely to matter: line ends, colons, halves of letters.
soup = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b"\r\n\r\n", b"Event: ", b"X", b": ", b"ActionID: 1", b"\xc3", b"\xab", b"\0"]
    )
).map(b"".join)


def read(pieces: list[bytes]) -> tuple[list[AmiMessage], int]:
    reader = AmiReader()
    return [message for piece in pieces for message in reader.feed(piece)], reader.oversized


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(soup, st.lists(st.integers(0, 10_000)))
def test_any_split_gives_the_same_messages(body: bytes, places: list[int]) -> None:
    stream = BANNER + body
    whole = read([stream])
    assert read(cut(stream, places)) == whole
    assert read([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(soup, st.lists(st.integers(0, 10_000)))
def test_what_is_too_long_is_dropped_alike_at_any_split(body: bytes, places: list[int]) -> None:
    stream = BANNER + body
    with patch("cti.asterisk.ami.wire.MESSAGE_LIMIT", 12):
        whole = read([stream])
        assert read(cut(stream, places)) == whole
        assert read([stream[at : at + 1] for at in range(len(stream))]) == whole
    unlimited, _ = read([stream])
    assert whole[0] == [message for message in unlimited if len(message.block) <= 12]
    assert whole[1] == len(unlimited) - len(whole[0])


@given(soup)
def test_nothing_is_lost_or_made_up(body: bytes) -> None:
    """The messages are the stream cut at empty lines; no line is joined, split, or changed."""
    messages, _ = read([BANNER + body])
    expected = [part.removeprefix(b"\r\n") for part in body.split(b"\r\n\r\n")[:-1]]
    assert [message.block for message in messages] == [part for part in expected if part]
    for message in messages:
        assert len(list(message.headers())) == message.block.count(b"\r\n") + 1


@given(st.sampled_from(RECORDINGS), st.lists(st.integers(0, 1_000_000), max_size=30))
def test_recordings_read_the_same_at_any_split(recording: Path, places: list[int]) -> None:
    stream = recording.read_bytes()
    assert read(cut(stream, places)) == read([stream])


names = st.sampled_from([
    "Event", "UserEvent", "Channel", "DestChannel", "Call", "Offer", "Cause", "Timestamp", "Exten", "Context", "Device",
    "State", "BridgeUniqueid", "ChanVariable", "Uniqueid", "DialStatus", "Queue", "Number", "Did",
])  # fmt: skip
values = st.one_of(
    st.sampled_from([
        "DialBegin", "DialEnd", "DialState", "BridgeEnter", "BridgeLeave", "Hangup", "UserEvent", "DeviceStateChange",
        "MixMonitorStart", "CtiInbound", "CtiReturned", "CtiSurvival", "CtiWait", "PJSIP/1001-00000001", "PJSIP/1001",
        "CTI_CALL=t1-1.0", "0000000042", "00000000421001", "cti-deliver", "1795288310.856436", "9" * 30, "²", "-1",
        "99999999999.000000",
    ]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20),
)  # fmt: skip


@given(st.lists(st.tuples(names, values), min_size=1, max_size=12), st.sampled_from([None, "Hangup", "DialBegin"]))
def test_odd_events_never_raise(headers: list[tuple[str, str]], event: str | None) -> None:
    lines = ([("Event", event)] if event else []) + headers
    message = AmiMessage("\r\n".join(f"{name}: {value}" for name, value in lines).encode())
    translator = Translator(accounts_of([AgentId("1001")]))
    signal = translator.signal(message, NOW)
    assert signal is None or isinstance(signal, Signal)
    assert translator.translated + translator.unused + translator.odd == 1
