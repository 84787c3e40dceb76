"""However the bytes are cut on the way, the codec says the same; whatever comes, it answers or refuses, never hangs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.agi import wire
from cti.asterisk.agi.wire import (
    AgiCommandError,
    AgiConnection,
    AgiEvent,
    AgiProtocolError,
    ConnectionState,
    Reply,
    encode_command,
)
from tests.support.agi_client import environment, parse_arguments

USAGE = b"520-Invalid command syntax.  Proper usage follows:\nUsage: X\n more\n\n520 End of proper usage.\n"
ANSWERS = st.sampled_from([
    b"200 result=0\n", b"200 result=49 endpos=1234\n", "200 result=1 (Zoë 王)\n".encode(), b"510 Invalid or unknown command\n",
    b"511 Command Not Permitted on a dead channel or intercept routine\n", USAGE, b"HANGUP\n200 result=-1\n",
])  # fmt: skip


def play(chunks: list[bytes]) -> list[AgiEvent]:
    """Feed chunks, sending a command whenever one may be sent (there is always one due, so replies are asked for)."""
    connection = AgiConnection()
    events: list[AgiEvent] = []
    for chunk in chunks:
        events += connection.feed(chunk)
        if connection.state is ConnectionState.IDLE:
            connection.command_sent()
    return events


def test_every_single_split() -> None:
    for answer in (b"200 result=1 (a value)\n", USAGE, b"HANGUP\n511 dead\nHANGUP\n"):
        block = environment(headers={"agi_calleridname": "Zoë 王"})
        connection = AgiConnection()
        whole = connection.feed(block)
        connection.command_sent()
        whole += connection.feed(answer)
        for cut in range(len(block) + 1):
            assert play([block[:cut], block[cut:], answer]) == whole
        for cut in range(len(answer) + 1):
            assert play([block, answer[:cut], answer[cut:]]) == whole


@given(answers=st.lists(ANSWERS, max_size=6), data=st.data())
def test_any_splits(answers: list[bytes], data: st.DataObject) -> None:
    messages = [environment(), *answers]
    whole = play(messages)
    pieces: list[bytes] = []
    for message in messages:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=8)))
        pieces += [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    assert play(pieces) == whole
    assert sum(isinstance(event, Reply) for event in whole) == len(answers)


def test_byte_by_byte() -> None:
    data = environment()
    connection = AgiConnection()
    for index in range(len(data) - 1):
        assert connection.feed(data[index : index + 1]) == []
    assert len(connection.feed(data[-1:])) == 1


@given(
    st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([b"\n", b"HANGUP\n", b"520-", b"200 result=", b"\n\n"])))
)
def test_garbage_never_surprises(chunks: list[bytes]) -> None:
    """Nothing but AgiProtocolError comes out, and a broken reader stays broken."""
    connection = AgiConnection()
    broken = False
    for chunk in chunks:
        try:
            connection.feed(chunk)
        except AgiProtocolError:
            broken = True
        assert (connection.state is ConnectionState.BROKEN) is broken
        if connection.state is ConnectionState.IDLE:
            connection.command_sent()


@given(st.lists(st.text(max_size=60), max_size=5))
def test_asterisk_reads_back_what_was_quoted(arguments: list[str]) -> None:
    try:
        line = encode_command("EXEC", arguments)
    except AgiCommandError:
        text = "".join(arguments)
        assert set("\r\n\0") & set(text) or any("\ud800" <= character <= "\udfff" for character in text)
        return
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_arguments(line[:-1].decode()) == ["EXEC", *arguments]


_VALUES = st.sampled_from(["call", "1", "", " 1", "agi_arg_1: 7", "Zoë 王", "a\tb", "\x1b[2J", "\u2028", "\r", "a: b"])
_STRAY = st.tuples(
    st.sampled_from(
        ["agi_channel", "agi_callerid", "agi_threadid", "agi_arg_1", "agi_arg_2", "agi_arg_01", "agi_x", "", "x y"]
    ),
    st.sampled_from([": ", ": ", ":", " ", ":  ", ": : "]),
    _VALUES,
).map("".join)


@given(
    values=st.lists(_VALUES, min_size=22, max_size=25),
    stray=st.lists(st.tuples(st.integers(0, 25), _STRAY), max_size=2),
)
def test_the_short_way_through_an_environment_says_the_same_as_the_long_one(
    values: list[str], stray: list[tuple[int, str]]
) -> None:
    names = [*wire._ORDER, "agi_arg_1", "agi_arg_2", "agi_arg_3"]
    lines = [f"{name}: {value}" for name, value in zip(names, values, strict=False)]
    for place, line in stray:
        lines.insert(place, line)
    text = "".join(line + "\n" for line in lines)
    short = wire._plain_request(text)
    assert short is None or short == wire._request(text.split("\n"))


def test_an_environment_of_asterisk_takes_the_short_way() -> None:
    text = environment(headers={"agi_calleridname": "Zoë 王"}).decode().removesuffix("\n")
    assert wire._plain_request(text) is not None
