"""The AMI wire without I/O: bytes in, messages out; actions in, bytes out.

Theory of operation. An AMI stream is one banner line, then blocks of `Name: value` lines. A line ends in CR LF and in
nothing else: a lone CR or LF, a NUL or any other byte is part of a value. A block ends at an empty line. So the whole
framing is: cut the byte stream at CR LF CR LF. Decoding happens after cutting, value by value, and therefore can
neither join nor split lines, whatever bytes a caller managed to smuggle into a value, and a multi-byte letter that the
network cut in two is whole again before anybody looks at it.

Most headers of most events are never read (28 events a call, two or three fields of each), so a message keeps its block
as bytes and finds a header when asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from cti.asterisk.ami.errors import AmiActionInvalid, AmiProtocolError

_EOL = b"\r\n"
_END = b"\r\n\r\n"
_BANNER = b"Asterisk Call Manager/"

BANNER_LIMIT = 256
"""Bytes. The real one has 29; more than this without a line end is some other service."""

MESSAGE_LIMIT = 262_144
"""Bytes of one message. Asterisk builds a header value from at most a few kilobytes of channel data and an event from a
few dozen headers, so real ones stay under 16 KiB. The limit bounds memory when the other side never ends a message; a
limit per line or per header count would bound nothing more, because headers are not stored apart."""

ACTION_LINE_LIMIT = 1024
"""Bytes of one action line with its CR LF: Asterisk's input buffer (manager.c, `inbuf`)."""

ACTION_HEADER_LIMIT = 128
"""Headers of one action: Asterisk's AST_MAX_MANHEADERS; further ones are silently dropped there."""

_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_needles: dict[str, bytes] = {}
_variables: dict[tuple[str, str], bytes] = {}


def _text(value: bytes) -> str:
    """UTF-8, and for a value that is not, Latin-1: each byte one character, nothing lost, nothing that cannot be stored."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class AmiMessage:
    """One block: an event or a response. Headers are looked up when asked for; of a repeated header the first counts.

    First, not last: Asterisk writes its own headers before values that come from outside, so a forged repetition
    further down changes nothing. Names are matched in Asterisk's own spelling.
    """

    __slots__ = ("block",)

    def __init__(self, block: bytes) -> None:
        self.block = block
        """The lines without the empty line that ended them."""

    def get(self, name: str, default: str = "") -> str:
        """First value of the header, `default` when there is none."""
        value = self._find(name, 0)
        return default if value is None else _text(value[0])

    def get_all(self, name: str) -> list[str]:
        """All values of a header that may be repeated (ChanVariable, Variable, Output), in order."""
        values = []
        found = self._find(name, 0)
        while found is not None:
            value, end = found
            values.append(_text(value))
            found = self._find(name, end)
        return values

    def variable(self, name: str, header: str = "ChanVariable") -> str | None:
        """Value of a channel variable that Asterisk attached as `<header>: <name>=<value>`; None when it did not."""
        line = _variables.get((name, header))
        if line is None:
            line = _variables[name, header] = f"\r\n{header}: {name}=".encode()
        begin = self.block.find(line)
        if begin >= 0:  # as Asterisk writes it
            begin += len(line)
            end = self.block.find(_EOL, begin)
            return _text(self.block[begin:] if end < 0 else self.block[begin:end])
        needle = name + "="
        for value in self.get_all(header):
            if value.startswith(needle):
                return value[len(needle) :]
        return None

    @property
    def event(self) -> str:
        """The event's name, empty for a response."""
        return self.get("Event")

    @property
    def response(self) -> str:
        """Success, Error, Goodbye, ... and empty for an event."""
        return self.get("Response")

    @property
    def action_id(self) -> str:
        """The id of the action this answers, empty for what Asterisk says of its own accord."""
        return self.get("ActionID")

    def headers(self) -> Iterator[tuple[str, str]]:
        """Every header in order, repetitions too. A line without a colon has an empty value."""
        for line in self.block.split(_EOL):
            name, _, value = line.partition(b":")
            yield _text(name), _text(value.removeprefix(b" "))

    def _find(self, name: str, start: int) -> tuple[bytes, int] | None:
        """Value of the next `name` at or after `start`, and where its line ends."""
        needle = _needles.get(name)
        if needle is None:
            needle = _needles[name] = b"\r\n%b:" % name.encode()
        block = self.block
        if start == 0 and block.startswith(needle[2:]):
            begin = len(needle) - 2
        else:
            begin = block.find(needle, start)
            if begin < 0:
                return None
            begin += len(needle)
        end = block.find(_EOL, begin)
        if end < 0:
            end = len(block)
        if block[begin : begin + 1] == b" ":
            begin += 1
        return block[begin:end], end

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AmiMessage) and self.block == other.block

    def __hash__(self) -> int:
        return hash(self.block)

    def __repr__(self) -> str:
        return f"AmiMessage({self.block!r})"


class AmiReader:
    """Cuts a byte stream into messages. Feed it pieces of any size: where they are cut makes no difference."""

    __slots__ = ("_held", "_parts", "_skipping", "banner", "oversized")

    def __init__(self) -> None:
        self.banner: str | None = None
        """Asterisk's protocol version, once its first line has arrived."""
        self.oversized = 0
        """Messages over `MESSAGE_LIMIT`, dropped whole."""
        # The unfinished message, in the pieces it came in: joined once when its end is there, so that a long message in
        # small pieces costs linear time. While skipping an oversized one only the last three bytes are kept, in case
        # they begin an end mark.
        self._parts: list[bytes] = []
        self._held = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[AmiMessage]:
        """Take the next bytes; return the messages they complete.

        Raises `AmiProtocolError` when the stream does not begin with AMI's banner; the reader is of no use after that.
        """
        if not data:
            return []
        if self.banner is None:
            return self._feed_banner(data)
        if self._parts and _END not in data and _END not in self._seam(data):
            self._hold(data)
            return []
        self._parts.append(data)
        blocks = b"".join(self._parts).split(_END)
        rest = blocks.pop()
        if blocks and self._skipping:
            del blocks[0]
            self._skipping = False
            self.oversized += 1
        self._parts, self._held = [], 0
        if rest:
            self._hold(rest)
        messages = []
        for block in blocks:
            # An empty line more than needed leaves its CR LF at the front of the next block.
            lines = block.removeprefix(_EOL)
            if len(lines) > MESSAGE_LIMIT:
                self.oversized += 1
            elif lines:
                messages.append(AmiMessage(lines))
        return messages

    def _feed_banner(self, data: bytes) -> list[AmiMessage]:
        self._parts.append(data)
        start = b"".join(self._parts)
        line, end, rest = start.partition(_EOL)
        if not start.startswith(_BANNER[: len(start)]) or len(line) > BANNER_LIMIT:
            raise AmiProtocolError(
                f"what answered is not Asterisk's manager interface: {start[:60]!r}",
                remedy="check asterisk.ami_host and ports.ami: another service has that port",
            )
        if not end:
            self._parts = [start]
            return []
        self.banner = _text(line[len(_BANNER) :])
        self._parts = []
        return self.feed(rest)

    def _seam(self, data: bytes) -> bytes:
        """The bytes around the cut between what is held and `data`: an end mark across it is in here."""
        tail = b""
        for part in reversed(self._parts):
            tail = part[-3:] + tail
            if len(tail) >= 3:
                break
        return tail[-3:] + data[:3]

    def _hold(self, data: bytes) -> None:
        self._parts.append(data)
        self._held += len(data)
        # Held bytes may end in an unfinished end mark (up to 3) and begin with a stray empty line (2).
        if self._skipping or self._held > MESSAGE_LIMIT + 5:
            self._skipping = True
            self._parts = [self._seam(b"")]
            self._held = 3


Fields = Mapping[str, str | Sequence[str]] | Iterable[tuple[str, str]]
"""An action's headers. In a mapping, a list repeats its header."""


def encode_action(fields: Fields) -> bytes:
    """The bytes of one action, its ending empty line included.

    Raises `AmiActionInvalid` for anything that Asterisk would read as something else than was meant: CR, LF or NUL in a
    value (the next header, the next action), a bad name, a line over 1,024 bytes, more than 128 headers.
    """
    pairs: list[tuple[str, str]] = []
    if isinstance(fields, Mapping):
        for name, value in fields.items():
            pairs.extend((name, item) for item in ([value] if isinstance(value, str) else value))
    else:
        pairs.extend(fields)
    if not pairs or pairs[0][0].lower() != "action":
        raise AmiActionInvalid("an action begins with its Action header")
    if len(pairs) > ACTION_HEADER_LIMIT:
        raise AmiActionInvalid(f"{len(pairs)} headers; Asterisk takes {ACTION_HEADER_LIMIT}", action=pairs[0][1])
    lines = []
    for name, value in pairs:
        if _HEADER_NAME.fullmatch(name) is None:
            raise AmiActionInvalid(f"{name!r} is not a header name", action=pairs[0][1])
        if "\r" in value or "\n" in value or "\0" in value:
            raise AmiActionInvalid(f"the value of {name} has a line break or a NUL", action=pairs[0][1])
        try:
            line = f"{name}: {value}\r\n".encode()
        except UnicodeEncodeError:
            raise AmiActionInvalid(f"the value of {name} is not Unicode text", action=pairs[0][1]) from None
        if len(line) > ACTION_LINE_LIMIT:
            raise AmiActionInvalid(
                f"the line of {name} has {len(line)} bytes; Asterisk takes {ACTION_LINE_LIMIT}", action=pairs[0][1]
            )
        lines.append(line)
    return b"".join((*lines, _EOL))
