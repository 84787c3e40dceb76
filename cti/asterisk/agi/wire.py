"""The FastAGI language without I/O: bytes in, events out; words in, one command line out.

Theory of operation. Asterisk connects to us, sends an *environment* (`name: value` lines, then a blank line) and then
answers our commands, one reply a command, in order. Nothing in the protocol ties a reply to its command but the order,
so a reply nobody asked for, or a line that is no reply, means that every later answer would be taken for another
command's. There is no way back from that: the session is over (`AgiProtocolError`).

Two things break the plain picture: `HANGUP` comes on a line of its own at any time and is no reply, and a 520 reply
carries a usage text over several lines. Both observed on Asterisk 22.10.1.

`AgiConnection` keeps the state of one session:

    ENVIRONMENT --blank line--> IDLE --command_sent--> AWAITING --reply--> IDLE
                                                        AWAITING --"520-"--> USAGE --"520 "--> IDLE
    any state --fault--> BROKEN (every further feed raises)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from cti.errors import CtiError, RemoteError
from cti.ids import NO_CHANNEL, CallId, ChannelName

ENVIRONMENT_BYTES = 32 * 1024
"""Most an environment may take. Asterisk's own is about 700 bytes and its arguments are short."""
ENVIRONMENT_LINES = 200
"""24 headers and at most 127 arguments (MAX_ARGS in res_agi.c) leave room."""
REPLY_BYTES = 64 * 1024
"""Longest reply line, and longest usage text."""
LINES_AT_ONCE = 500
"""Most lines that one piece of what was received may hold: one reply is due at a time, the longest usage text has 40."""
COMMAND_BYTES = 8 * 1024 - 1
"""Longest command with its newline: Asterisk cuts at its buffer and runs the rest as a *second command*."""

_ORDER = (
    "agi_network", "agi_network_script", "agi_request", "agi_channel", "agi_language", "agi_type", "agi_uniqueid",
    "agi_version", "agi_callerid", "agi_calleridname", "agi_callingpres", "agi_callingani2", "agi_callington",
    "agi_callingtns", "agi_dnid", "agi_rdnis", "agi_context", "agi_extension", "agi_priority", "agi_enhanced",
    "agi_accountcode", "agi_threadid",
)  # fmt: skip
"""As Asterisk sends them (observed on 22.10.1)."""
_HEADERS = frozenset(_ORDER)
_LAST_HEADER = "agi_threadid"
"""Asterisk sends it last; only the arguments of AGI() follow."""

_AS_WRITTEN = re.compile("".join(rf"{name}: (.*)\n" for name in _ORDER) + r"((?:agi_arg_[0-9]+: .*\n)*)\Z")
MOST_ARGUMENTS = 127
"""MAX_ARGS in res_agi.c."""
_ARGUMENT = re.compile(r"agi_arg_([1-9][0-9]{0,2})\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_CALL_ID = re.compile(r"[A-Za-z0-9-]{0,64}[0-9]{1,12}\.[0-9]{1,12}\Z")
_LINE = re.compile(r"(100|200|510|511|520)(?:([ -])(.*))?\Z", re.DOTALL)
_RESULT = re.compile(r"result=([0-9A-Da-d*#-]*)(?: (.*))?\Z", re.DOTALL)
_TEXT = re.compile(r"\((.*)\)\Z", re.DOTALL)
_TEXT_ENDPOS = re.compile(r"(?:\((.*)\) )?endpos=(-?[0-9]{1,18})\Z", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}\Z")


class AgiProtocolError(RemoteError):
    """The other side left the protocol (a shift, garbage, too much of anything). Fatal for this session alone.

    `fields` has `reason`, a constant word for logs and metrics; what was received is not kept: it may be a number.
    """

    error_id = "agi_protocol"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(
            message, outcome_unknown=True, remedy="the dialplan carries the call on; no action needed", reason=reason
        )
        self.reason = reason


class AgiCommandError(CtiError, ValueError):
    """A command that must not be sent (CR, LF, NUL, too long, not allowed). Nothing was sent; a fault on our side."""

    error_id = "agi_command"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiRequest:
    """Who calls and what for: the environment of one session.

    `script` is the path of the agi:// address; `args` what the dialplan passed behind it. `headers` has the known
    headers only, control characters and undecodable bytes replaced by U+FFFD. `repeated` names headers that came more
    than once: a sign of forgery by a caller's text; the first one counted.
    """

    script: str
    args: tuple[str, ...] = ()
    channel: ChannelName = NO_CHANNEL
    unique_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    repeated: tuple[str, ...] = ()

    @property
    def call_id(self) -> CallId | None:
        """The call this session belongs to: the first argument, or else the channel's unique id. None if neither is one."""
        for text in (*self.args[:1], self.unique_id):
            if _CALL_ID.match(text):
                return CallId(text)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `result` and `text` are "" where there are none; `endpos` is in samples of 8 kHz.

    `code` is 200 (done), 510 (no such command), 511 (the channel is dead), 520 (`usage` tells the right form).
    `lines` is the reply as received.
    """

    code: int
    result: str = ""
    text: str = ""
    endpos: int | None = None
    usage: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HangupNotice:
    """`HANGUP` arrived: this session is over. It does not say that the caller left (a Redirect looks the same)."""


AgiEvent = AgiRequest | Reply | HangupNotice

_PLAIN_REPLIES = {
    f"200 result={result}\n".encode(): Reply(code=200, result=result, lines=(f"200 result={result}",))
    for result in ("0", "1", "-1")
}
"""Most replies are one of these, alone in their packet: they need no reading."""


class ConnectionState(Enum):
    """Where one session is."""

    ENVIRONMENT = auto()
    IDLE = auto()
    AWAITING = auto()
    USAGE = auto()
    BROKEN = auto()


class AgiConnection:
    """The reader of one session. Not re-entrant, no I/O.

    `feed` raises `AgiProtocolError` at the first fault; the events found before it in the same bytes are lost with the
    session, and nothing more may be fed.
    """

    def __init__(self) -> None:
        self.state = ConnectionState.ENVIRONMENT
        self._buffer = bytearray()
        self._lines = 0
        self._usage: list[str] = []
        self._usage_bytes = 0

    def command_sent(self) -> None:
        """Tell the reader that a command went out, so one reply is due. Raises `AgiCommandError` if one is due already."""
        if self.state is not ConnectionState.IDLE:
            raise AgiCommandError(f"a command may not be sent now (the session is {self.state.name.lower()})")
        self.state = ConnectionState.AWAITING

    def feed(self, data: bytes) -> list[AgiEvent]:
        """Take received bytes, cut anywhere; return what they complete. Raises `AgiProtocolError`."""
        if (
            self.state is ConnectionState.AWAITING
            and not self._buffer
            and (known := _PLAIN_REPLIES.get(data)) is not None
        ):
            self.state = ConnectionState.IDLE
            return [known]
        try:
            if self.state is ConnectionState.ENVIRONMENT:
                request = self._environment(data)
                return [] if request is None else [request, *self._replies(b"")]
            if self.state is ConnectionState.BROKEN:
                raise AgiProtocolError("broken", "bytes fed to a session that is over")
            return self._replies(data)
        except AgiProtocolError:
            self.state = ConnectionState.BROKEN
            self._buffer.clear()
            raise

    # -- the environment ------------------------------------------------------------------------------------------------

    def _environment(self, data: bytes) -> AgiRequest | None:
        """Gather until the blank line; what is behind it stays in the buffer."""
        buffer = self._buffer
        # The blank line may begin with the last byte of what was there before.
        searched = max(0, len(buffer) - 1)
        buffer += data
        end = 0 if buffer[:1] == b"\n" else buffer.find(b"\n\n", searched) + 1
        whole = end > 0 or buffer[:1] == b"\n"
        self._lines = buffer.count(b"\n", 0, end) if whole else self._lines + data.count(b"\n")
        if (end if whole else len(buffer)) > ENVIRONMENT_BYTES:
            raise AgiProtocolError("environment_size", "the AGI environment is too large")
        if self._lines > ENVIRONMENT_LINES:
            raise AgiProtocolError("environment_lines", "the AGI environment has too many lines")
        if not whole:
            return None
        text = buffer[:end].decode("utf-8", "replace")
        del buffer[: end + 1]
        self.state = ConnectionState.IDLE
        return _plain_request(text) or _request(text.split("\n"))

    # -- replies ----------------------------------------------------------------------------------------------------------

    def _replies(self, data: bytes) -> list[AgiEvent]:
        buffer = self._buffer
        come = data or buffer  # none: what stood behind the environment
        if len(come) > LINES_AT_ONCE and come.count(b"\n") > LINES_AT_ONCE:
            raise AgiProtocolError("reply_lines", "far more lines of AGI replies than anybody asked for")
        if not buffer and data.endswith(b"\n"):
            lines = data[:-1].split(b"\n")  # nearly always: one reply, whole
        else:
            searched = len(buffer)
            buffer += data
            end = buffer.rfind(b"\n", searched) if data else buffer.rfind(b"\n")
            if end < 0:
                if len(buffer) > REPLY_BYTES:
                    raise AgiProtocolError("reply_size", "an AGI reply line is too long")
                return []
            lines = bytes(buffer[:end]).split(b"\n")
            del buffer[: end + 1]
            if len(buffer) > REPLY_BYTES:
                raise AgiProtocolError("reply_size", "an AGI reply line is too long")
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> AgiEvent | None:
        if len(line) > REPLY_BYTES:
            raise AgiProtocolError("reply_size", "an AGI reply line is too long")
        text = line.decode("utf-8", "replace")
        if text == "HANGUP":
            return HangupNotice()
        if self.state is ConnectionState.AWAITING:
            return self._reply_line(text)
        if self.state is ConnectionState.USAGE:
            return self._usage_line(text, len(line))
        raise AgiProtocolError("unasked", "an AGI reply that nobody asked for")

    def _reply_line(self, text: str) -> Reply | None:
        match = _LINE.match(text)
        if match is None:
            raise AgiProtocolError("garbage", "a line that is no AGI reply")
        code, mark, rest = int(match[1]), match[2], match[3] or ""
        if code == 100:
            return None  # "100 Trying": an interim answer, the real one follows
        if code == 520 and mark == "-":
            self._usage = [text]
            self._usage_bytes = len(text)
            self.state = ConnectionState.USAGE
            return None
        if mark == "-":
            raise AgiProtocolError("garbage", "an AGI reply of several lines with a code that has none")
        self.state = ConnectionState.IDLE
        if code != 200:
            return Reply(code=code, text=rest, usage=rest if code == 520 else "", lines=(text,))
        found = _RESULT.match(rest)
        if found is None:
            raise AgiProtocolError("garbage", "an AGI reply without a result")
        tail = found[2]
        if tail is None:
            return Reply(code=code, result=found[1], lines=(text,))
        # "(text)" first: a variable's value may itself end like "... endpos=1".
        if value := _TEXT.match(tail):
            return Reply(code=code, result=found[1], text=value[1], lines=(text,))
        if value := _TEXT_ENDPOS.match(tail):
            return Reply(code=code, result=found[1], text=value[1] or "", endpos=int(value[2]), lines=(text,))
        raise AgiProtocolError("garbage", "an AGI reply with an unfinished value")

    def _usage_line(self, text: str, size: int) -> Reply | None:
        self._usage_bytes += size + 1
        if self._usage_bytes > REPLY_BYTES:
            raise AgiProtocolError("reply_size", "an AGI usage text is too long")
        self._usage.append(text)
        if not text.startswith("520 "):
            return None
        self.state = ConnectionState.IDLE
        lines, self._usage = tuple(self._usage), []
        return Reply(code=520, text=lines[0][4:], usage="\n".join(lines[1:-1]).strip(), lines=lines)


def _plain_request(text: str) -> AgiRequest | None:
    """What `_request` makes of an environment exactly as Asterisk writes it; None for any other. Nearly all are so, and this
    reads them in a few calls instead of a few a line."""
    found = _AS_WRITTEN.match(text)
    if found is None or not text.replace("\n", "").isprintable():
        return None
    headers = dict(zip(_ORDER, found.groups(), strict=False))
    arguments: list[str] = []
    if rest := found[len(_ORDER) + 1]:
        for number, line in enumerate(rest[:-1].split("\n"), start=1):
            name, _, value = line.partition(": ")
            if name != f"agi_arg_{number}" or number > MOST_ARGUMENTS:
                return None
            arguments.append(value)
    return AgiRequest(
        script=headers["agi_network_script"],
        args=tuple(arguments),
        channel=ChannelName(headers["agi_channel"]),
        unique_id=headers["agi_uniqueid"],
        headers=headers,
    )


def _request(lines: Sequence[str]) -> AgiRequest:
    """The request an environment's lines make."""
    headers: dict[str, str] = {}
    numbered: dict[int, str] = {}
    repeated: list[str] = []
    for line in lines:
        name, colon, value = line.partition(": ")
        if not colon or ":" in name:
            name, colon, value = line.partition(":")
            if not colon:
                continue
        if not value.isprintable():
            value = _CONTROL.sub("\ufffd", value)
        if name in _HEADERS:
            if name in headers:
                repeated.append(name)
            else:
                headers[name] = value
        elif argument := _ARGUMENT.match(name):
            if int(argument[1]) in numbered:
                repeated.append(name)
            else:
                numbered[int(argument[1])] = value
        if name == _LAST_HEADER and numbered:
            # Asterisk sends this one last, so an argument seen before it was written by a caller's text, and "the
            # first wins" would hand that caller our arguments. The real ones follow.
            repeated += [f"agi_arg_{number}" for number in numbered]
            numbered.clear()
    arguments: list[str] = []
    while (argument_value := numbered.get(len(arguments) + 1)) is not None:
        arguments.append(argument_value)
    return AgiRequest(
        script=headers.get("agi_network_script", ""),
        args=tuple(arguments),
        channel=ChannelName(headers.get("agi_channel", "")),
        unique_id=headers.get("agi_uniqueid", ""),
        headers=headers,
        repeated=tuple(dict.fromkeys(repeated)),
    )


def encode_command(verb: str, arguments: Sequence[str | int] = ()) -> bytes:
    """One command line. `verb` goes as it is ("SET VARIABLE"), every argument quoted, numbers bare.

    Raises `AgiCommandError` for CR, LF or NUL anywhere (a newline inside quotes starts a second command), text that
    is not valid Unicode, and more than `COMMAND_BYTES`.
    """
    words = [verb, *(str(word) if isinstance(word, int) else quote(word) for word in arguments)]
    return encode_line(" ".join(words))


def encode_line(line: str) -> bytes:
    """A command line that is already quoted, checked and closed with a newline. Raises `AgiCommandError`."""
    if not line.isprintable() and ("\n" in line or "\r" in line or "\0" in line):
        raise AgiCommandError("a command with CR, LF or NUL is refused: it would run a second command")
    try:
        data = line.encode("utf-8") + b"\n"
    except UnicodeEncodeError:
        raise AgiCommandError("a command must be valid Unicode") from None
    if len(data) > COMMAND_BYTES:
        raise AgiCommandError(f"a command of {len(data)} bytes is refused: Asterisk takes {COMMAND_BYTES}")
    if not line.strip():
        raise AgiCommandError("an empty command is refused: Asterisk would answer with an error")
    return data


def quote(text: str) -> str:
    """An argument as `parse_args` of res_agi.c reads it back: in double quotes, backslash and quote escaped."""
    if text.isalnum():
        return f'"{text}"'
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def plain_variable(name: str) -> str:
    """`name` itself if it is a plain channel variable (letters, digits, underscore); raises `AgiCommandError` if not.

    GET VARIABLE evaluates functions (`CURL(...)`, `SHELL(...)`), so anything but a plain name is refused.
    """
    if not _VARIABLE.match(name):
        raise AgiCommandError(f"not a plain variable name: {name[:40]!r}", remedy="use letters, digits and underscore")
    return name
