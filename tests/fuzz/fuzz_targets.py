"""What is fuzzed: each target takes any bytes and raises `AssertionError` where a promise is broken.

The promises are the same everywhere: nothing but the documented error comes out, where the bytes are cut makes no
difference, no reply is taken for another command's, and nothing takes longer than `SLOWEST` seconds of processor time.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import pytest

from cti.asterisk.agi.wire import (
    AgiCommandError,
    AgiConnection,
    AgiEvent,
    AgiProtocolError,
    AgiRequest,
    ConnectionState,
    Reply,
    encode_command,
)
from cti.asterisk.ami.errors import AmiProtocolError
from cti.asterisk.ami.wire import AmiReader, encode_action
from cti.errors import CtiError
from cti.ivr.checker import check_text
from cti.ivr.expression import (
    LARGEST,
    LONGEST_TEXT,
    Expression,
    ExpressionError,
    ExpressionFault,
    Kind,
    Value,
    check,
    evaluate,
    kind_of,
    parse,
)
from cti.ivr.problems import Position
from tests.support.agi_client import environment, parse_arguments
from tests.support.flow_corpus import FLOWS, SHIPPED, corpus_prompts, demo_centre

SLOWEST = 0.05
"""Seconds of processor time one input may take."""
LONGEST_FLOW = 4096
"""Characters of a fuzzed flow: reading YAML takes about 7 us a character, and flows are a screenful."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzTarget:
    """`run(data)` tries one input; `seeds` are inputs to start from."""

    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    pieces: Sequence[bytes] = ()
    """What to put in now and then: words of the language."""
    slowest: float = SLOWEST
    """Seconds of processor time one input may take. More where a person waits for the answer, and no call does."""
    share: int = 1
    """Of so many inputs one is for this target: it takes as long as that many of the others."""


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The bytes in pieces."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(6))) if data else []
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def _read_environment(chunks: Sequence[bytes]) -> tuple[list[AgiEvent], str]:
    connection = AgiConnection()
    events: list[AgiEvent] = []
    for chunk in chunks:
        try:
            events += connection.feed(chunk)
        except AgiProtocolError as error:
            assert connection.state is ConnectionState.BROKEN
            return [event for event in events if isinstance(event, AgiRequest)], error.reason
    return [event for event in events if isinstance(event, AgiRequest)], ""


def agi_environment(data: bytes) -> None:
    """A header block is a request or a fault, however it is cut; what a caller wrote is never an argument of ours."""
    whole = _read_environment([data])
    pieces = _read_environment(cut(data, random.Random(data)))
    # A fault behind the request takes the request of the same bytes with it; in pieces it may have been seen before.
    if whole[1] == pieces[1] == "":
        assert whole == pieces
    for request in whole[0]:
        assert isinstance(request, AgiRequest)
        assert all("\n" not in value and "\x00" not in value for value in request.headers.values())
        assert len(request.args) <= 200


def _reply_of(kind: int, value: bytes, number: int) -> tuple[bytes, Callable[[Reply], bool]]:
    text = value.decode("utf-8", "replace")
    marked = f"{number}:{text}"
    if kind == 0:
        return f"200 result={number}\n".encode(), lambda reply: reply.result == str(number) and reply.text == ""
    if kind == 1:
        return f"200 result=1 ({marked})\n".encode(), lambda reply: reply.text == marked
    if kind == 2:
        return f"200 result=0 endpos={number}\n".encode(), lambda reply: reply.endpos == number
    if kind == 3:
        return f"510 Invalid or unknown command {number}\n".encode(), lambda reply: reply.code == 510
    if kind == 4:
        usage = f"520-Invalid command syntax.  Proper usage follows:\nUsage: {number}\n520 End of proper usage.\n"
        return usage.encode(), lambda reply: reply.code == 520 and str(number) in reply.usage
    return b"511 Command Not Permitted on a dead channel or intercept routine\n", lambda reply: reply.code == 511


def agi_replies(data: bytes) -> None:
    """Replies with hostile values in them: the n-th one read is the n-th command's, or the session is over."""
    chance = random.Random(data)
    connection = AgiConnection()
    connection.feed(environment())
    values = data.split(b"\xff")
    for number, value in enumerate(values[:12]):
        wire, right = _reply_of(chance.randrange(6), value, number)
        connection.command_sent()
        events: list[AgiEvent] = []
        try:
            # Asterisk writes a reply at once; a value with a line end in it is never seen in part.
            for chunk in [wire] if b"\n" in value else cut(wire, chance):
                if chance.random() < 0.02:
                    connection.feed(b"")
                events += connection.feed(chunk)
        except AgiProtocolError:
            assert b"\n" in value or b"\r" in value, value
            return
        replies = [event for event in events if isinstance(event, Reply)]
        assert len(replies) == 1, (number, replies)
        assert b"\n" in value or right(replies[0]), (number, replies)


def agi_garbage(data: bytes) -> None:
    """Any bytes in place of replies: a reply only where one was due, or a fault, and a broken reader stays broken."""
    connection = AgiConnection()
    connection.feed(environment())
    due = 0
    for chunk in cut(data, random.Random(data)):
        if connection.state is ConnectionState.IDLE:
            connection.command_sent()
            due += 1
        try:
            due -= sum(isinstance(event, Reply) for event in connection.feed(chunk))
        except AgiProtocolError:
            assert connection.state is ConnectionState.BROKEN
            with pytest.raises(AgiProtocolError):
                connection.feed(b"200 result=1\n")
            return
        assert due >= 0


def agi_command(data: bytes) -> None:
    """Whatever an argument holds, Asterisk reads one command with the arguments given, or nothing is sent."""
    arguments = [part.decode("utf-8", "surrogateescape") for part in data.split(b"\xff")][:8]
    try:
        line = encode_command("SET VARIABLE", arguments)
    except AgiCommandError:
        return
    assert line.endswith(b"\n")
    assert (line.count(b"\n"), line.count(b"\r"), line.count(b"\0")) == (1, 0, 0)
    assert parse_arguments(line.decode().rstrip("\n")) == ["SET", "VARIABLE", *arguments]


def ami_stream(data: bytes) -> None:
    """AMI messages: where the stream is cut makes no difference, and every message can be read through."""
    banner = b"Asterisk Call Manager/11.0.0\r\n"

    def read(chunks: Sequence[bytes]) -> list[list[tuple[str, str]]]:
        reader = AmiReader()
        reader.feed(banner)
        return [list(message.headers()) for chunk in chunks for message in reader.feed(chunk)]

    whole = read([data])
    assert whole == read(cut(data, random.Random(data)))
    with contextlib.suppress(AmiProtocolError):
        AmiReader().feed(data)


def ami_action(data: bytes) -> None:
    """An action with hostile values is one block of as many lines as it has headers, or is refused."""
    fields = [
        (f"H{number}", part.decode("utf-8", "surrogateescape")) for number, part in enumerate(data.split(b"\xff")[:8])
    ]
    try:
        block = encode_action([("Action", "Ping"), *fields])
    except (CtiError, ValueError):
        return
    assert block.find(b"\r\n\r\n") == len(block) - 4
    assert block.count(b"\n") == len(fields) + 2 == block.count(b"\r")


_KNOWN = {"caller.tier": Kind.TEXT, "answer.order": Kind.TEXT, "data.total": Kind.NUMBER, "caller.known": Kind.FLAG}
_VALUES: dict[str, Value] = {
    "caller.tier": "vip",
    "answer.order": "0042",
    "data.total": Decimal("19.90"),
    "caller.known": True,
}


def expression(data: bytes) -> None:
    """An expression is read, typed and worked out, or says where it is wrong; its type is the one foretold."""
    text = data.decode("utf-8", "replace")
    try:
        tree: Expression = parse(text)
        kind = check(tree, _KNOWN)
    except ExpressionError as error:
        column = error.column
    else:
        column = 0
    assert 0 <= column <= len(text) + 1
    if column:
        return
    try:
        value = evaluate(tree, _VALUES)
    except ExpressionFault:
        return
    assert kind_of(value) is kind
    assert not isinstance(value, str) or len(value) <= LONGEST_TEXT
    assert not isinstance(value, Decimal) or abs(value) <= LARGEST


@cache
def _surroundings() -> tuple[object, object]:
    return demo_centre(), corpus_prompts()


def flow_text(data: bytes) -> None:
    """A flow is checked, or the problems say where and what to do."""
    centre, prompts = _surroundings()
    text = data.decode("utf-8", "replace")[:LONGEST_FLOW]
    for problem in check_text(text, "main.yaml", centre, prompts):  # type: ignore[arg-type]
        assert problem.at >= Position(1, 1)
        assert problem.message
        assert problem.remedy


def _flows() -> list[bytes]:
    files = [*SHIPPED.glob("*.yaml"), *FLOWS.glob("*/*.yaml")]
    return [data for file in sorted(files) if len(data := file.read_bytes()) <= LONGEST_FLOW]


TARGETS = {
    target.name: target
    for target in (
        FuzzTarget(
            name="agi_environment",
            run=agi_environment,
            seeds=[environment(), environment(headers={"agi_calleridname": "x\nagi_arg_1: 7"}), environment(thread=False)],
            pieces=[b"\n", b"\n\n", b": ", b"agi_arg_1: ", b"agi_threadid: ", b"agi_channel: ", b"\x00", b"\xff", b"\r"],
        ),
        FuzzTarget(
            name="agi_replies",
            run=agi_replies,
            seeds=[b"plain\xff(a)\xff) endpos=1\xff200 result=0", b"\xff".join([b"x"] * 12)],
            pieces=[b"\xff", b")", b" endpos=7", b"\n", b"200 result=1 (", b"HANGUP", b"520-", b"\r"],
        ),
        FuzzTarget(
            name="agi_garbage",
            run=agi_garbage,
            seeds=[b"200 result=1\n", b"520-Usage\nx\n520 End\n", b"HANGUP\n511 dead\n", b"100 Trying\n200 result=0 endpos=1\n"],
            pieces=[b"\n", b"200 result=", b"520-", b"520 ", b"HANGUP\n", b"100 x\n", b"(", b")"],
        ),
        FuzzTarget(
            name="agi_command",
            run=agi_command,
            seeds=[b'a "b" \\ (c)\xff${SHELL(id)}', b"X\xff1", "王\xffé".encode()],
            pieces=[b'"', b"\\", b"\xff", b"\n", b"\r", b"\x00", b" ", b"\t"],
        ),
        FuzzTarget(
            name="ami_stream",
            run=ami_stream,
            seeds=[b"Event: Hangup\r\nChannel: PJSIP/x\r\nChanVariable: A=b\r\n\r\nResponse: Success\r\nActionID: 1\r\n\r\n"],
            pieces=[b"\r\n", b"\r\n\r\n", b": ", b"Event: ", b"\n", b"\r", b"ChanVariable: X=", b"Output: "],
        ),
        FuzzTarget(
            name="ami_action",
            run=ami_action,
            seeds=[b"plain\xffPJSIP/1001-1", b"a\r\nAction: Originate"],
            pieces=[b"\r\n", b"\r\n\r\n", b"\xff", b"\n", b"Action: "],
        ),
        FuzzTarget(
            name="expression",
            run=expression,
            seeds=[
                b'caller.tier == "vip" and length(answer.order) >= 4', b"1 + 2 * 3 - 4 / 2", b"text(data.total) + 'x'",
                b"not caller.known or first(answer.order, 2) < last('ab', 1)", b"rounded(data.total % 7) == most(1, 2)",
            ],
            pieces=[b"(", b")", b" and ", b" or ", b"not ", b"==", b"caller.tier", b"data.total", b"9" * 30, b"'", b'"', b"- ",
                    b"length(", b"text(", b"number(", b", ", b"*", b"/", b"%"],
        ),
        FuzzTarget(
            name="flow_text",
            share=40,
            run=flow_text,
            seeds=_flows(),
            pieces=[b": ", b"- ", b"{", b"}", b"[", b"]", b"\n  ", b"\n", b"&a", b"*a", b"<<: ", b"!!python/x ", b"|\n", b"go: ",
                    b"menu: ", b"say: ", b'"', b"'", b"\t", b"? ", b"%YAML", b"---\n", b"{if: '1 == 1', go: x}"],
        ),
    )
}  # fmt: skip
