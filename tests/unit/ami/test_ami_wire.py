"""The AMI codec: framing, hostile bytes, limits, and what may be sent."""

from __future__ import annotations

import pytest

from cti.asterisk.ami.errors import AmiActionInvalid, AmiProtocolError
from cti.asterisk.ami.wire import MESSAGE_LIMIT, AmiReader, encode_action

BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def started() -> AmiReader:
    reader = AmiReader()
    assert reader.feed(BANNER) == []
    return reader


def test_banner_is_read_and_kept() -> None:
    reader = started()
    assert reader.banner == "11.0.0"


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"X" * 999])
def test_another_service_is_an_error_that_says_so(greeting: bytes) -> None:
    with pytest.raises(AmiProtocolError, match=r"not Asterisk's manager interface") as caught:
        AmiReader().feed(greeting)
    assert "ports.ami" in caught.value.remedy


def test_a_greeting_without_end_is_refused() -> None:
    with pytest.raises(AmiProtocolError):
        AmiReader().feed(b"Asterisk Call Manager/" + b"1" * 300)


def test_event_and_response() -> None:
    event, response = started().feed(
        b"Event: Hangup\r\nChannel: PJSIP/1001-00000001\r\nCause: 16\r\n\r\nResponse: Success\r\nActionID: 7\r\n\r\n"
    )
    assert (event.event, event.response, event.get("Channel"), event.action_id) == (
        "Hangup",
        "",
        "PJSIP/1001-00000001",
        "",
    )
    assert (response.event, response.response, response.action_id) == ("", "Success", "7")
    assert event.get("Cause") == "16"
    assert event.get("ChannelX", "none") == "none"
    assert list(response.headers()) == [("Response", "Success"), ("ActionID", "7")]


def test_first_of_a_repeated_header_counts_and_lists_keep_all() -> None:
    (message,) = started().feed(
        b"Event: X\r\nUniqueid: real\r\nChanVariable: CTI_CALL=a=b\r\nChanVariable: CTI_OFFER=\r\nUniqueid: forged\r\n"
        b"ChanVariable: CTI_CALL=forged\r\nEvent: Hangup\r\n\r\n"
    )
    assert message.event == "X"
    assert message.get("Uniqueid") == "real"
    assert message.get_all("ChanVariable") == ["CTI_CALL=a=b", "CTI_OFFER=", "CTI_CALL=forged"]
    assert message.variable("CTI_CALL") == "a=b"
    assert message.variable("CTI_OFFER") == ""
    assert message.variable("CTI") is None


def test_header_names_match_whole() -> None:
    (message,) = started().feed(b"Event: X\r\nDestChannel: d\r\nChannelState: 6\r\nChannel: c\r\n\r\n")
    assert message.get("Channel") == "c"


def test_empty_values_and_missing_spaces() -> None:
    (message,) = started().feed(b"Event: X\r\nExten: \r\nData:\r\nA:b\r\nno colon\r\n\r\n")
    assert [message.get(name, "-") for name in ("Exten", "Data", "A")] == ["", "", "b"]
    assert list(message.headers())[-1] == ("no colon", "")


def test_only_cr_lf_ends_a_line() -> None:
    (message,) = started().feed(b"Event: X\r\nCallerIDNum: 1\nEvent: Hangup\r2\x0b\x0c\x00\x85\xe2\x80\xa83\r\n\r\n")
    assert message.event == "X"
    assert [name for name, _ in message.headers()] == ["Event", "CallerIDNum"]


def test_utf8_and_what_is_not() -> None:
    utf8, latin = started().feed("Event: X\r\nName: Zoë 王\r\n\r\n".encode() + b"Event: X\r\nName: Zo\xeb \xff\r\n\r\n")
    assert utf8.get("Name") == "Zoë 王"
    assert latin.get("Name") == "Zoë ÿ"
    latin.get("Name").encode()  # storable: no lone surrogates


def test_extra_empty_lines_are_nothing() -> None:
    messages = started().feed(b"\r\n\r\n\r\nEvent: A\r\n\r\n\r\nEvent: B\r\n\r\n\r\n\r\n")
    assert [message.event for message in messages] == ["A", "B"]


@pytest.mark.parametrize("piece", [1000, 65536, 10_000_000])
def test_an_endless_message_is_dropped_whole_and_the_next_one_read(piece: int) -> None:
    reader = started()
    stream = b"Event: Flood\r\nX: " + b"x" * (3 * MESSAGE_LIMIT) + b"\r\n\r\nEvent: After\r\n\r\n"
    messages = [m for at in range(0, len(stream), piece) for m in reader.feed(stream[at : at + piece])]
    assert [message.event for message in messages] == ["After"]
    assert reader.oversized == 1


def test_an_endless_message_takes_no_memory() -> None:
    reader = started()
    for _ in range(200):
        reader.feed(b"x" * 65536)
    assert sum(len(part) for part in reader._parts) <= 2 * MESSAGE_LIMIT


def test_encode_action() -> None:
    assert (
        encode_action({"Action": "Status", "ActionID": "1", "Variable": ["a=1", "b=2"]})
        == b"Action: Status\r\nActionID: 1\r\nVariable: a=1\r\nVariable: b=2\r\n\r\n"
    )
    assert encode_action([("Action", "Ping")]) == b"Action: Ping\r\n\r\n"


@pytest.mark.parametrize("evil", ["1\r\nAction: Originate", "1\n", "1\r", "a\0b", "\ud800"])
def test_what_would_be_read_as_something_else_is_refused(evil: str) -> None:
    with pytest.raises(AmiActionInvalid):
        encode_action({"Action": "Redirect", "Channel": evil})
    with pytest.raises(AmiActionInvalid):
        encode_action({"Action": "Redirect", f"Channel{evil}": "x"})


def test_limits_of_asterisk() -> None:
    line = "x" * (1024 - len("Channel: \r\n"))
    encode_action({"Action": "Hangup", "Channel": line})
    with pytest.raises(AmiActionInvalid, match="1025 bytes"):
        encode_action({"Action": "Hangup", "Channel": line + "x"})
    with pytest.raises(AmiActionInvalid):  # bytes count, not letters
        encode_action({"Action": "Hangup", "Channel": "王" * 400})
    encode_action({"Action": "X", "Variable": ["v"] * 127})
    with pytest.raises(AmiActionInvalid, match="129 headers"):
        encode_action({"Action": "X", "Variable": ["v"] * 128})


@pytest.mark.parametrize("fields", [{}, {"Channel": "x"}, {"ActionID": "1", "Action": "Ping"}])
def test_an_action_begins_with_its_name(fields: dict[str, str]) -> None:
    with pytest.raises(AmiActionInvalid):
        encode_action(fields)
