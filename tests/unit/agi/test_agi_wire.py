"""The FastAGI codec: environments, replies, HANGUP, shifts, hostile bytes, and command lines."""

from __future__ import annotations

import pytest

from cti.asterisk.agi.wire import (
    COMMAND_BYTES,
    ENVIRONMENT_BYTES,
    REPLY_BYTES,
    AgiCommandError,
    AgiConnection,
    AgiProtocolError,
    AgiRequest,
    ConnectionState,
    HangupNotice,
    Reply,
    encode_command,
    encode_line,
    plain_variable,
)
from tests.support.agi_client import DEFAULT_CALL, environment, parse_arguments


def opened() -> AgiConnection:
    connection = AgiConnection()
    connection.feed(environment())
    return connection


def reply_to(data: bytes) -> Reply:
    connection = opened()
    connection.command_sent()
    (event,) = connection.feed(data)
    assert isinstance(event, Reply)
    return event


def request_of(data: bytes) -> AgiRequest:
    (event,) = AgiConnection().feed(data)
    assert isinstance(event, AgiRequest)
    return event


def test_environment() -> None:
    request = request_of(environment("wait", ("a1-1700000000.7", "", "+15550199")))
    assert request.script == "wait"
    assert request.args == ("a1-1700000000.7", "", "+15550199")
    assert request.channel == "PJSIP/trunk-00000001"
    assert request.unique_id == request.call_id == DEFAULT_CALL
    assert request.repeated == ()


def test_environment_without_script_or_arguments() -> None:
    request = request_of(b"agi_network: yes\n\n")
    assert (request.script, request.args, request.call_id) == ("", (), None)


def test_first_of_a_repeated_header_wins() -> None:
    block = environment(
        headers={"agi_calleridname": "x\nagi_network_script: evil\nagi_uniqueid: evil\nagi_callingpres: 9"}
    )
    request = request_of(block)
    assert request.script == "call"
    assert request.unique_id == DEFAULT_CALL
    assert set(request.repeated) == {"agi_network_script", "agi_uniqueid", "agi_callingpres"}


def test_arguments_written_by_a_callers_text_do_not_count() -> None:
    forged = "x\nagi_threadid: 1\nagi_arg_1: a1-1.1\nagi_arg_2: forged\nagi_arg_9: forged"
    request = request_of(environment(headers={"agi_calleridname": forged}))
    assert request.args == (DEFAULT_CALL, "+15550100", "100")
    assert {"agi_threadid", "agi_arg_1"} <= set(request.repeated)


def test_first_argument_wins_behind_the_headers() -> None:
    request = request_of(environment(args=("a1-1.1", "1\nagi_arg_3: forged", "100")))
    assert request.args == ("a1-1.1", "1", "forged")
    assert request.repeated == ("agi_arg_3",)


def test_unknown_names_and_lines_without_a_colon_are_ignored() -> None:
    request = request_of(b"what is this\nagi_evil: 1\nCTI_NEXT: wait\n" + environment())
    assert request.script == "call"
    assert "agi_evil" not in request.headers


def test_hostile_bytes_are_replaced() -> None:
    block = environment(headers={"agi_calleridname": "Zo\udce9\x1b[2J\r\x00\x07"})
    request = request_of(block)
    assert request.headers["agi_calleridname"] == "Zo\ufffd\ufffd[2J\ufffd\ufffd\ufffd"


def test_utf8_survives() -> None:
    assert request_of(environment(headers={"agi_calleridname": "Zoë 王"})).headers["agi_calleridname"] == "Zoë 王"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"agi_network: yes\n" * 300, "environment_lines"),
        (b"a" * (ENVIRONMENT_BYTES + 1), "environment_size"),
        (b"agi_callerid: " + b"a" * ENVIRONMENT_BYTES + b"\n\n", "environment_size"),
    ],
)
def test_environment_limits(block: bytes, reason: str) -> None:
    connection = AgiConnection()
    with pytest.raises(AgiProtocolError) as caught:
        connection.feed(block)
    assert caught.value.reason == reason
    assert connection.state is ConnectionState.BROKEN
    with pytest.raises(AgiProtocolError):
        connection.feed(b"\n")


def test_a_call_id_must_look_like_one() -> None:
    assert request_of(environment(args=("+15550100",))).call_id == DEFAULT_CALL
    assert request_of(environment(args=("1; DROP",), headers={"agi_uniqueid": "../etc"})).call_id is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("200 result=0", ("0", "", None)),
        ("200 result=-1", ("-1", "", None)),
        ("200 result=1 (yes)", ("1", "yes", None)),
        ("200 result=1 ()", ("1", "", None)),
        ("200 result=1 (a (nested) value)", ("1", "a (nested) value", None)),
        ("200 result=1 (x) endpos=3)", ("1", "x) endpos=3", None)),
        ("200 result=49 endpos=1234", ("49", "", 1234)),
        ("200 result=0 (timeout) endpos=88", ("0", "timeout", 88)),
        ("200 result=12*# (timeout)", ("12*#", "timeout", None)),
        ("200 result= (timeout)", ("", "timeout", None)),
        ("200 result=1 (\ufffd王)", ("1", "\ufffd王", None)),
    ],
)
def test_replies(line: str, expected: tuple[str, str, int | None]) -> None:
    reply = reply_to(line.encode() + b"\n")
    assert (reply.result, reply.text, reply.endpos) == expected
    assert (reply.code, reply.lines) == (200, (line,))


def test_refusals() -> None:
    assert reply_to(b"510 Invalid or unknown command\n").code == 510
    assert reply_to(b"511 Command Not Permitted on a dead channel or intercept routine\n").code == 511
    single = reply_to(b"520 Invalid command syntax.  Proper usage not available.\n")
    assert (single.code, single.usage) == (520, "Invalid command syntax.  Proper usage not available.")


def test_usage_text_of_several_lines() -> None:
    data = b"520-Invalid command syntax.  Proper usage follows:\nUsage: SAY\n\n200 result=0\n520 End of proper usage.\n"
    reply = reply_to(data)
    assert reply.code == 520
    assert reply.usage == "Usage: SAY\n\n200 result=0"


def test_hangup_within_a_usage_text_and_before_a_reply() -> None:
    connection = opened()
    connection.command_sent()
    events = connection.feed(b"HANGUP\n520-Usage:\nHANGUP\n520 End\nHANGUP\n")
    assert [type(event) for event in events] == [HangupNotice, HangupNotice, Reply, HangupNotice]
    assert connection.state is ConnectionState.IDLE


def test_trying_is_not_the_answer() -> None:
    connection = opened()
    connection.command_sent()
    assert connection.feed(b"100 result=0 Trying...\n") == []
    (event,) = connection.feed(b"200 result=0\n")
    assert isinstance(event, Reply)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"200 result=0\n", "unasked"),
        (b"520 End of proper usage.\n", "unasked"),
        (b"\n", "unasked"),
        (b"hangup\n", "unasked"),
    ],
)
def test_a_reply_nobody_asked_for_is_fatal(line: bytes, reason: str) -> None:
    connection = opened()
    with pytest.raises(AgiProtocolError) as caught:
        connection.feed(line)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "line",
    [
        b"", b"200", b"200 ok", b"200 result", b"200 result=1 (first line", b"second line)", b"200 result=0)",
        b"200-result=0", b"511-x", b"404 Not Found", b"GET / HTTP/1.1", b"\xff\xfe", b"200 result=0 endpos=x", b"HANGUP ",
        b"200 result=0\r",
    ],
)  # fmt: skip
def test_garbage_is_fatal(line: bytes) -> None:
    connection = opened()
    connection.command_sent()
    with pytest.raises(AgiProtocolError) as caught:
        connection.feed(line + b"\n")
    assert caught.value.reason == "garbage"


def test_two_replies_to_one_command_are_fatal() -> None:
    connection = opened()
    connection.command_sent()
    with pytest.raises(AgiProtocolError, match="nobody asked"):
        connection.feed(b"200 result=0\n200 result=0\n")


def test_reply_limits() -> None:
    for data, reason in (
        (b"200 result=1 (" + b"a" * (REPLY_BYTES + 10), "reply_size"),
        (b"520-Usage\n" + (b"a" * 1000 + b"\n") * (REPLY_BYTES // 1000 + 1), "reply_size"),
        (b"520-Usage\n" + b"b\n" * REPLY_BYTES, "reply_lines"),
    ):
        connection = opened()
        connection.command_sent()
        with pytest.raises(AgiProtocolError) as caught:
            connection.feed(data)
        assert caught.value.reason == reason


def test_one_command_at_a_time() -> None:
    connection = AgiConnection()
    with pytest.raises(AgiCommandError):
        connection.command_sent()
    connection.feed(environment())
    connection.command_sent()
    with pytest.raises(AgiCommandError):
        connection.command_sent()


def test_commands_are_quoted() -> None:
    assert encode_command("ANSWER") == b"ANSWER\n"
    assert encode_command("STREAM FILE", ("demo", "")) == b'STREAM FILE "demo" ""\n'
    assert encode_command("WAIT FOR DIGIT", (3000,)) == b"WAIT FOR DIGIT 3000\n"
    line = encode_command("SET VARIABLE", ("X", 'say "hi" \\ 王'))
    assert parse_arguments(line.decode().rstrip("\n")) == ["SET", "VARIABLE", "X", 'say "hi" \\ 王']


@pytest.mark.parametrize("value", ["a\nHANGUP", "a\rb", "a\0b", "\udc80", "x" * 9000])
def test_commands_that_must_not_be_sent(value: str) -> None:
    with pytest.raises(AgiCommandError):
        encode_command("SET VARIABLE", ("X", value))


def test_longest_command() -> None:
    room = COMMAND_BYTES - len(b'SET VARIABLE "X" ""\n')
    assert len(encode_command("SET VARIABLE", ("X", "x" * room))) == COMMAND_BYTES
    with pytest.raises(AgiCommandError):
        encode_command("SET VARIABLE", ("X", "x" * (room + 1)))
    with pytest.raises(AgiCommandError):
        encode_line("  ")


@pytest.mark.parametrize("name", ["CURL(http://x)", "A B", "", "1A", "A\n", "${X}", "CALLERID(num)", "Ä"])
def test_only_plain_variables(name: str) -> None:
    with pytest.raises(AgiCommandError):
        plain_variable(name)
    assert plain_variable("__CTI_CALL") == "__CTI_CALL"
