"""Callers who write into SIP what a stranger may: numbers, names, dialled numbers and further headers, made from a seed.

Each knows what may come of it: the number that the centre may read out of it, and the number that was dialled. Both are
computed here from the bytes alone, by the rule in docs (digits with one leading plus, at most twenty characters, anything
else is withheld), not by asking the dialplan.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

CENTRES = ("5000", "+15550100")
"""What the rig's centre is dialled by."""
NUMBER = re.compile(rb"\+?[0-9]{1,20}")
LONGEST = 20
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/")
"""Bytes that may stand in a user part as they are; any other is percent-encoded, or breaks the request."""

TEXTS = (
    # line ends and what could follow them on the manager's link and on FastAGI's
    b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n", b"\x0b", b"\x0c", b"\x1b[2J", b"\x7f", b"\x85", b"\t", b"\\n", b"\\r\\n", b"\\x0a", b"&#10;",
    b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xc4\x8a\xc4\x8d", b"%0d%0a", b"%250a", b"\xc0\x8a", b"\xe5\x98\x8a\xe5\x98\x8d",
    b"\r\nEvent: Hangup\r\nChannel: PJSIP/1001-00000001\r\n\r\n", b"\r\nAction: Originate\r\nChannel: PJSIP/1001\r\nApplication: Echo\r\n\r\n",
    b"\r\nEvent: UserEvent\r\nUserEvent: CtiWait\r\nCall: a1-1.1\r\n\r\n", b"\nagi_network_script: wait\nagi_arg_1: a1-1.1\n",
    b"\n\nEXEC System x\n", b"\nSET VARIABLE CTI_NEXT hangup\n", b"HANGUP\n", b"Response: Success", b"ActionID: 1", b"--END COMMAND--",
    # dialplan and expressions
    b"${SHELL(touch @HIT@)}", b"${SYSTEM(touch @HIT@)}", b"$[1+1]", b"${CTI_CALL}", b"${CHANNEL(name)}", b"${EVAL(${CALLERID(all)})}", b"}", b"{", b")", b"(",
    b"${", b"$[", b"]", b",", b"|", b"&PJSIP/1001", b"&Local/s@cti-wait", b"^s^1", b"@cti-wait", b"=", b"\"]?cti-bye-run,s,2:", b"1] | $[1", b"\\", b"\\,",
    b"CTI_NEXT=hangup", b"__CTI_CALL=x", b"%s%n%d", b"Set(CTI_DID=5000)", b"s", b"h", b"i", b"_X.", b"b(cti-leg^s^1)",
    # shells
    b"`touch @HIT@`", b"$(touch @HIT@)", b";touch @HIT@;", b"|touch @HIT@", b"|| touch @HIT@ #", b"../../../../etc/passwd", b"file:///etc/passwd",
    # markup, databases, tables
    b"<script>window.hit=1</script>", b"<img src=x onerror=window.hit=1>", b"\"><svg/onload=window.hit=1>", b"</title>", b"javascript:window.hit=1",
    b"{{7*7}}", b"'; DROP TABLE report.calls; --", b"' OR 1=1 --", b"=cmd|' /C x'!A0", b"@SUM(1+1)", b"]]>", b"<!--", b"{\"number\": 1}", b"\\u0000", b"\\\"",
    # not text, and texts of other kinds
    b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3", b"\xe6\x9d\x8e\xe9\x9b\xb7", b"\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7",
    b"\xe2\x80\xae+4915550001\xe2\x80\xac", b"\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf", b"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x93", b"\xd9\xa1\xd9\xa2\xd9\xa3",
    b"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", b"Z\xcc\xae\xcc\x9e\xcd\x85", b"\xf0\x9d\x9f\x8f", b"\xc2\xb9\xc2\xb2",
    # SIP's own
    b"\"", b"<", b">", b"<sip:+15550001@x>", b"\"; <sip:+15550001@x> \"", b"@", b":", b";", b";tag=1", b";user=phone", b";phone-context=+1", b"?Replaces=1", b"tel:",
    b"sip:", b"anonymous", b"unknown", b"%", b"%2", b"%zz", b"%00", b"+", b"++", b"00", b"-", b".", b" ", b"*77", b"#31#", b"0", b"1", b"5000", b"1001", b"+1555",
)  # fmt: skip

HEADERS = (
    b"P-Asserted-Identity: \"@TEXT@\" <sip:@USER@@x>", b"P-Preferred-Identity: <sip:@USER@@x>", b"Remote-Party-ID: \"@TEXT@\" <sip:@USER@@x>;party=calling",
    b"Diversion: <sip:@USER@@x>;reason=\"@TEXT@\"", b"History-Info: <sip:@USER@@x>;index=1", b"Referred-By: <sip:@USER@@x>", b"Alert-Info: <http://@USER@>",
    b"Call-Info: <sip:@USER@>;answer-after=0", b"Subject: @TEXT@", b"User-Agent: @TEXT@", b"Organization: @TEXT@", b"X-CTI-Call: a1-1.1", b"X-CTI-Offer: 0000000001",
    b"X-CTI-Call: @TEXT@", b"X-CTI-Answer: auto", b"Event: @TEXT@", b"UserEvent: CtiWait", b"agi_network_script: wait", b"Action: Originate", b"Privacy: id",
    b"Accept-Language: @TEXT@", b"Replaces: @USER@;to-tag=1;from-tag=1", b"Join: @USER@;to-tag=1;from-tag=1", b"Session-Expires: 90", b"Reason: Q.850;cause=16;text=\"@TEXT@\"",
    b"From: <sip:@USER@@y>;tag=second", b"Geolocation: <cid:@USER@>", b"Identity: @TEXT@", b"X-@USER@: 1", b"Route: <sip:@USER@@127.0.0.1:1;lr>",
)  # fmt: skip
"""Further headers; @TEXT@ and @USER@ are made for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CraftedCaller:
    """One request, without what the line puts in (its own address, the ids of the call)."""

    sender: bytes
    """The value of From without its tag; `@HERE@` is the line's own address."""
    target: bytes
    """The user part of the request's URI."""
    more: tuple[bytes, ...]
    """Further headers."""
    number: str | None
    """What may be read as the caller's number ("": withheld). None: the request breaks SIP's grammar; refused or withheld."""
    dialled: str
    """The number that was dialled, as the dialplan tells of it; empty: not a number at all."""
    or_withheld: bool = False
    """Whether it may also be taken for withheld, but for no other number: From is longer than what the dialplan reads of it, or has a
    parameter in quotes, which it must not be led by."""
    hang_up_after: float = 0.8
    """Seconds after the answer, if Asterisk has not hung up by then."""

    @property
    def known(self) -> bool:
        """Whether one of the centre's own numbers was dialled."""
        return self.dialled in CENTRES or "+" + self.dialled in CENTRES or self.dialled.removeprefix("+") in CENTRES


LONG = 2500
"""Bytes of From beyond which the dialplan may not read it: it reads 4,096, with what is encoded again."""


def encoded(raw: bytes, chance: random.Random) -> bytes:
    """Percent-encode what must be, and now and then what need not be."""
    return b"".join(
        bytes((byte,))
        if byte in _PLAIN and chance.random() > 0.06
        else (b"%%%02x" if chance.random() < 0.5 else b"%%%02X") % byte
        for byte in raw
    )


def readable_number(user: bytes) -> str:
    """The number in a user part whose bytes SIP's grammar allows: whole, or none."""
    found = unquote_to_bytes(user).split(b";")[0]
    return found.decode() if NUMBER.fullmatch(found) and len(found) <= LONGEST else ""


def crafted(index: int, seed: int, hit: str) -> CraftedCaller:
    """The caller of this index. `hit`: a path that is written to by whoever runs what is only a text."""
    chance = random.Random(f"{seed} {index}")

    def text(most: int = 5) -> bytes:
        parts = [chance.choice(TEXTS) for _ in range(chance.randrange(1, most + 1))]
        return b"".join(parts).replace(b"@HIT@", f"{hit}/{index}".encode())

    def user() -> bytes:
        match chance.randrange(10):
            case 0:
                return encoded(str(chance.randrange(10 ** chance.choice((1, 3, 7, 15)))).encode() + text(1), chance)
            case 1:
                return encoded(
                    chance.choice((b"+", b"", b"00")) + b"9" * chance.choice((18, 19, 20, 21, 22, 64, 300)), chance
                )
            case 2:
                return encoded(text(1) + str(chance.randrange(10**10)).encode(), chance)
            case 3:
                return encoded(text(3) * chance.choice((1, 2, 10)), chance)
            case _:
                return encoded(text(4), chance)

    number: str | None
    if chance.random() < 0.25:
        told = b"%s1555%07d" % (chance.choice((b"", b"+")), index)
        sender_user, number = encoded(told, chance), told.decode()
        if chance.random() < 0.2:
            sender_user += chance.choice((b";ext=1", b";phone-context=+1", b"%3bx"))
    else:
        sender_user = user()
        number = readable_number(sender_user)
        if chance.random() < 0.03:  # a byte that may not stand there
            at = chance.randrange(len(sender_user) + 1)
            odd = chance.choice(
                (b"\xff", b"\x01", b"<", b">", b'"', b" ", b"%", b"%g1", b"@", b":", b"\x7f", "李".encode(), b"{", b"|")
            )
            sender_user, number = sender_user[:at] + odd + sender_user[at:], None
    if not sender_user:
        number = None
    name = (
        text().replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    )  # a line's end ends the header: see `more`
    if chance.random() < 0.02:
        name *= chance.choice((20, 40))
    quoted = b'"' + re.sub(rb'([\\"])', rb"\\\1", name) + b'" '
    if chance.random() < 0.04:  # quoted badly
        quoted, number = chance.choice((b'"' + name + b'" ', name + b" ", b'"' + name)), None
    uri = b"sip:" + sender_user + b"@@HERE@"
    match chance.randrange(12):
        case 0 if number is not None:
            uri = (
                b"sip:" + sender_user + b":" + encoded(text(1), chance).replace(b";", b"") + b"@@HERE@"
            )  # with a password
        case 1:
            uri += chance.choice(
                (
                    b";user=phone",
                    b";transport=udp",
                    b";x="
                    + encoded(text(1), chance)
                    .replace(b";", b"")
                    .replace(b"?", b"")
                    .replace(b",", b"")
                    .replace(b"=", b""),
                )
            )
    sender = quoted + b"<" + uri + b">"
    parameter = unquote_to_bytes(uri.partition(b"@@HERE@")[2].partition(b"=")[2])
    or_withheld = bool(number) and (len(sender) > LONG or parameter.startswith(b'"'))
    target, dialled = CENTRES[index % 2].encode(), CENTRES[index % 2]
    if chance.random() < 0.12:
        number_like = str(chance.randrange(10 ** chance.randrange(1, 22))).encode()
        target = encoded(
            hyphened(chance.choice((b"", b"", b"+")) + number_like, chance)
            if chance.random() < 0.3
            else number_like[:4] + text(2),
            chance,
        )
        # A zero byte ends what was dialled, and hyphens are overlooked in it.
        found = unquote_to_bytes(target).split(b"\0")[0].replace(b"-", b"")
        dialled = found.decode() if re.fullmatch(rb"\+?[0-9]{1,20}", found) else ""
    more = []
    for _ in range(chance.choice((0, 0, 1, 1, 2, 4))):
        line = chance.choice(HEADERS).replace(b"@USER@", user())
        value = text().replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"").replace(b'"', b"")
        more.append(line.replace(b"@TEXT@", value))
    return CraftedCaller(
        sender=sender, target=target, more=tuple(more), number=number, dialled=dialled, hang_up_after=hang_up(chance),
        or_withheld=or_withheld,
    )  # fmt: skip


def plain(index: int) -> CraftedCaller:
    """A caller as any: with a number or none, to each number of the centre or, seldom, to one that it has not; some leave early."""
    kind, turn = index % 6, index // 6
    number = ("", f"1666{index:07}", f"+1666{index:07}")[kind % 3]
    dialled = CENTRES[kind % 2] if turn % 6 != 5 else str(2000 + index)
    return CraftedCaller(
        sender=b"<sip:" + (number or "anonymous").encode() + b"@@HERE@>", target=dialled.encode(), more=(), number=number,
        dialled=dialled, hang_up_after=(4.0, 4.0, 0.2, 4.0, 0.0, 4.0)[turn % 6],
    )  # fmt: skip


def hyphened(number: bytes, chance: random.Random) -> bytes:
    """A number as some write it."""
    return number if chance.random() < 0.5 else number[:3] + b"-" + number[3:]


def hang_up(chance: random.Random) -> float:
    """When a caller hangs up: at once, soon, or not before the other side."""
    return chance.choice((0.0, 0.02, 0.2, 0.6, 1.5, 1.5))
