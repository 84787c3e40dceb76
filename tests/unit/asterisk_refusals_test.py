"""What is read of Asterisk's notices: lines as a real one wrote them, and lines that strangers would like to have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.refusals import Heard, Knock, NoticeFile, read_line

BEGIN = "[2026-11-22 12:12:08.156] SECURITY[28404] res_security_log.c: "
EVENT = (
    'SecurityEvent="{event}",EventTV="2026-11-22T12:12:08.155+0000",Severity="Informational",Service="PJSIP",'
    'EventVersion="1",AccountID="{account}",SessionID="{call}",LocalAddress="IPV4/UDP/127.0.0.1/45863",'
    'RemoteAddress="{remote}"{after}'
)
AFTER = {
    "ChallengeSent": ',Challenge=""',
    "SuccessfulAuth": ',UsingPassword="1"',
    "ChallengeResponseFailed": ',Challenge="1795/ade",Response="79db",ExpectedResponse=""',
    "InvalidAccountID": "",
}


def line(event: str, *, account: str = "1001", call: str = "4b02", remote: str = "IPV4/UDP/192.0.2.9/5061") -> str:
    return BEGIN + EVENT.format(event=event, account=account, call=call, remote=remote, after=AFTER[event])


def test_each_kind_of_line_is_read() -> None:
    assert read_line(line("ChallengeSent")) == Heard(
        knock=Knock.CHALLENGED, address="192.0.2.9", direct=True, account=""
    )
    assert read_line(line("ChallengeResponseFailed", account="<unknown>")) == Heard(
        knock=Knock.WRONG, address="192.0.2.9", direct=True
    )
    assert read_line(line("SuccessfulAuth", remote="IPV4/WSS/192.0.2.9/5061")) == Heard(
        knock=Knock.ACCEPTED, address="192.0.2.9", direct=False, account="1001"
    )
    six = read_line(line("ChallengeSent", remote="IPV6/TLS/2001:db8::7/5061"))
    assert six is not None
    assert six.address == "2001:db8::7"
    assert six.direct
    # Told twice otherwise: the challenge follows it.
    assert read_line(line("InvalidAccountID", account="777")) is None
    dropped = "[2026-11-22 12:12:08.156] NOTICE[1] pjproject: sip_transport.c Dropping 9 bytes packet from UDP 192.0.2.9:1 : x"
    assert read_line(dropped) == Heard(knock=Knock.MALFORMED)
    assert read_line("[2026-11-22 12:12:08.156] NOTICE[1] loader.c: 90 modules will be loaded.") is None
    assert read_line("") is None


def test_nobody_is_blamed_by_what_a_stranger_writes() -> None:
    victim = 'RemoteAddress="IPV4/UDP/203.0.113.1/1",Challenge=""'
    for event in ("ChallengeSent", "SuccessfulAuth", "ChallengeResponseFailed"):
        heard = read_line(line(event, call=f'x",{victim}'))
        assert heard is not None
        assert heard.address in ("192.0.2.9", "")
    # A response of the sender's stands behind the address.
    behind = line("ChallengeResponseFailed").replace("79db", f'",{victim}')
    assert read_line(behind) == Heard(knock=Knock.WRONG)
    # The account of another service is anybody's word.
    assert read_line(line("SuccessfulAuth").replace('Service="PJSIP"', 'Service="AMI"')) is None
    # A line break in a made-up account begins a line that is none.
    second = line("InvalidAccountID", account='x\n",RemoteAddress="zz').split("\n")[1]
    assert read_line(second) is None


@given(st.text(), st.text(max_size=36))
def test_only_the_true_address_is_ever_blamed(call: str, account: str) -> None:
    """Whatever a Call-ID and a made-up account hold: no line tells of an address that was not there."""
    text = line("InvalidAccountID", account=account, call=call.replace("\n", "").replace("\r", ""))
    text += "\n" + line("ChallengeSent", account="<unknown>", call=call.replace("\n", "").replace("\r", ""))
    for one in text.split("\n"):
        heard = read_line(one)
        assert heard is None or heard.address in ("192.0.2.9", "")


def test_what_is_new_in_the_file_is_told_once_whole_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "notices.log"
    file = NoticeFile(path)
    assert not file.there()
    assert file.take() == []
    assert not file.keep_short()
    path.write_text(line("ChallengeSent") + "\n" + line("SuccessfulAuth")[:40])
    assert file.there()
    assert [heard.knock for heard in file.take()] == [Knock.CHALLENGED]
    assert file.take() == []
    with path.open("a") as writing:
        writing.write(line("SuccessfulAuth")[40:] + "\n")
    assert [heard.knock for heard in file.take()] == [Knock.ACCEPTED]


def test_more_than_can_be_read_is_passed_over_and_the_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "notices.log"
    one = line("ChallengeSent") + "\n"
    file = NoticeFile(path, look_bytes=10 * len(one) + 5, keep_bytes=50 * len(one))
    with path.open("a") as asterisk:
        asterisk.write(one * 60)
        asterisk.flush()
        assert len(file.take()) == 10
        assert file.passed_over == 50 * len(one) - 5
        assert file.keep_short()
        former = tmp_path / "notices.log.1"
        assert former.stat().st_size == 60 * len(one)
        assert former.stat().st_mode & 0o077 == 0
        assert path.stat().st_size == 0
        asterisk.write(one)  # it goes on at the end, wherever that is
        asterisk.flush()
        assert len(file.take()) == 1
        assert path.stat().st_size == len(one)
        assert not file.keep_short()
    os.truncate(path, 0)
    with path.open("a") as again:
        again.write(one[: len(one) // 2])
    assert file.take() == []  # begun anew by somebody else


@pytest.mark.parametrize("odd", ["IPV4/UDP/999.1.1.1/5", "IPV4/UDP/:::::/5", "IPV4/UDP//5", "nothing"])
def test_an_odd_address_blames_nobody(odd: str) -> None:
    heard = read_line(line("ChallengeSent", remote=odd))
    assert heard is not None
    assert heard.address == ""


def test_who_was_let_in_is_known_of_the_whole_file_and_the_one_before_it(tmp_path: Path) -> None:
    file = NoticeFile(tmp_path / "notices.log", look_bytes=100)
    assert file.let_in_before() == []
    noise = line("ChallengeSent") + "\n"
    (tmp_path / "notices.log.1").write_text(
        line("SuccessfulAuth", remote="IPV4/UDP/192.0.2.1/5060") + "\n" + noise * 50
    )
    file.path.write_text(line("SuccessfulAuth", remote="IPV4/UDP/192.0.2.2/5060") + "\n" + noise * 50)
    assert [heard.address for heard in file.let_in_before()] == ["192.0.2.1", "192.0.2.2"]
