"""The crafted callers' line by itself: against a scripted other side, every caller is accounted for."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fuzz.hostile_flood import Grammar, Outcome, judge
from tests.support.crafted_callers import plain
from tests.support.crafted_line import CraftedLine, crafted_line

PLAIN = dataclasses.replace(plain(1), hang_up_after=0.0)


class Scripted(asyncio.DatagramProtocol):
    """Another side: says `answers` to the INVITE it gets, in order; takes every BYE."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.got: list[bytes] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        method = data.split(b" ", 1)[0]
        self.got.append(method)
        if method == b"INVITE":
            while self.answers:
                answer = self.answers.pop(0)
                if not answer:  # this copy is not heard
                    return
                self.say(data, answer, addr)
        elif method == b"BYE":
            self.say(data, b"200 OK", addr)

    def say(self, request: bytes, answer: bytes, addr: tuple[str, int]) -> None:
        """Answer; a word behind the status is the tag."""
        status, _, tag = answer.partition(b" ")
        lines = [
            line + (b";tag=" + tag if line.startswith(b"To: ") and b";tag=" not in line else b"")
            for line in request.split(b"\r\n\r\n")[0].split(b"\r\n")
            if line.split(b":")[0] in (b"Via", b"From", b"To", b"Call-ID", b"CSeq")
        ]
        self.transport.sendto(b"\r\n".join([b"SIP/2.0 " + status + b" x", *lines, b"", b""]), addr)


@contextlib.asynccontextmanager
async def line_to(side: Scripted, notices: Path | None = None) -> AsyncIterator[CraftedLine]:
    """A line to that side."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: side, local_addr=("127.0.0.1", 0))
    try:
        async with crafted_line("127.0.0.1", transport.get_extra_info("sockname"), notices) as line:
            yield line
    finally:
        transport.close()


async def test_every_waiting_answer_is_read_in_one_turn() -> None:
    """Hundreds of answers that came while nobody looked are all read before anything else happens."""
    async with line_to(Scripted()) as line:
        calls = [line._invite(PLAIN) for _ in range(400)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for call in calls:
                other.sendto(
                    b"SIP/2.0 404 x\r\nCall-ID: %s\r\nFrom: x;tag=1\r\nTo: y;tag=2\r\nCSeq: 1 INVITE\r\n\r\n"
                    % call.call_id,
                    ("127.0.0.1", line.port),
                )
        line._read()
        assert [call.status for call in calls] == [404] * 400


async def test_a_size_that_is_free_again_stays_with_who_has_it_now() -> None:
    """A call that is heard of once more does not take away the size of a later request."""
    async with line_to(Scripted()) as line:
        first = line._invite(PLAIN)
        line._received(b"SIP/2.0 100 x\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n\r\n" % first.call_id)
        second = line._invite(PLAIN)
        assert len(second.request) == len(first.request)
        line._received(b"SIP/2.0 100 x\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n\r\n" % first.call_id)
        assert line._on_way == {len(second.request): second}


async def test_a_dropped_request_is_told_apart_by_its_size(tmp_path: Path) -> None:
    """Two requests are never of one size; the log's word of one of them ends that one."""
    notices = tmp_path / "notices.log"
    notices.write_bytes(b"")
    async with line_to(Scripted(), notices) as line:
        first, second = line._invite(PLAIN), line._invite(PLAIN)
        assert len(first.request) != len(second.request)
        with notices.open("ab") as log:
            log.write(
                b"[t] NOTICE[1] pjproject: \t sip_transport.c Dropping %d bytes packet from UDP 127.0.0.1:%d : "
                b"PJSIP syntax error exception when parsing 'Event' header on line 8 col 8\n"
                % (len(second.request), line.port)
            )
        async with asyncio.timeout(10):
            await second.let_go.wait()
        assert (first.dropped, second.dropped) == ("", "Event")
        assert Outcome.of(second).account == "dropped for Event"


@pytest.mark.parametrize(
    ("answers", "finals", "copies"),
    [((b"", b"200 a"), [200], 2), ((b"", b"200 a", b"200 b"), [200, 200], 2), ((b"404 a", b"404 a"), [404], 1)],
)
async def test_a_request_that_is_not_heard_is_sent_again(
    answers: tuple[bytes, ...], finals: list[int], copies: int
) -> None:
    """And if both copies are taken for calls, both are ended and counted."""
    side = Scripted(*answers)
    async with line_to(side) as line, asyncio.timeout(20):
        call = await line.call(PLAIN)
        assert list(call.finals.values()) == finals
        assert call.sent == copies
        assert side.got.count(b"INVITE") == copies


@pytest.mark.parametrize(
    ("finals", "dropped", "told", "wrong"),
    [
        ((200,), "", 1, None),
        ((200, 200), "", 2, None),
        ((), "From", 0, None),
        ((), "", 0, "unexplained"),
        ((503,), "", 0, "refused for no reason that is known"),
        ((200,), "", 0, "not told of"),
        ((), "From", 1, "told of without a reason"),
    ],
)
def test_who_is_not_accounted_for_is_wrong(finals: tuple[int, ...], dropped: str, told: int, wrong: str | None) -> None:
    """Silence without a reason, a strange status, and telling that differs from what the line heard."""
    grammar = Grammar()
    one = Outcome(number="+1666", dialled="5000", known=True, finals=finals, dropped=dropped, copies=1, stuck="")
    entered = {f"a1-1.{n}": ("+1666", "5000") for n in range(told)}
    judge(grammar, [one], entered, {}, dict(entered))
    assert [line.split(",")[0].split(" (")[0] for line in grammar.wrong] == ([wrong] if wrong else [])
