"""The Asterisk side of FastAGI, for tests: what res_agi.c does, written from its observed behaviour.

`AgiClient` sends and reads by hand; `FakeCaller` is a caller on a channel: it answers commands like Asterisk, presses
keys, keeps variables, and can hang up at any command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

DEFAULT_CALL = "a1-1700000000.7"


def environment(
    script: str = "call",
    args: Sequence[str] = (DEFAULT_CALL, "+15550100", "100"),
    *,
    headers: Mapping[str, str] | None = None,
    thread: bool = True,
) -> bytes:
    """An environment block in Asterisk's order, arguments after agi_threadid."""
    values = {
        "agi_network": "yes",
        "agi_network_script": script,
        "agi_request": f"agi://127.0.0.1:4573/{script}",
        "agi_channel": "PJSIP/trunk-00000001",
        "agi_language": "en",
        "agi_type": "PJSIP",
        "agi_uniqueid": DEFAULT_CALL,
        "agi_version": "22.10.1",
        "agi_callerid": "15550100",
        "agi_calleridname": "unknown",
        "agi_callingpres": "0",
        "agi_callingani2": "0",
        "agi_callington": "0",
        "agi_callingtns": "0",
        "agi_dnid": "100",
        "agi_rdnis": "unknown",
        "agi_context": "cti-flow",
        "agi_extension": "100",
        "agi_priority": "4",
        "agi_enhanced": "0.0",
        "agi_accountcode": "",
        **(headers or {}),
    }
    if thread:
        values["agi_threadid"] = "140000000000000"
    lines = [f"{name}: {value}" for name, value in values.items()]
    lines += [f"agi_arg_{number}: {value}" for number, value in enumerate(args, 1)]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "surrogateescape")


def parse_arguments(line: str) -> list[str]:
    """Split a command as `parse_args` of res_agi.c does: quotes group, a backslash takes the next character as it is."""
    words: list[str] = []
    current: list[str] | None = None
    quoted = escaped = False
    for character in line:
        if escaped:
            current = [] if current is None else current
            current.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
            if quoted and current is None:
                current = []
        elif character in " \t" and not quoted:
            if current is not None:
                words.append("".join(current))
            current = None
        else:
            current = [] if current is None else current
            current.append(character)
    if current is not None:
        words.append("".join(current))
    return words


class AgiClient:
    """One connection to a FastAGI server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1") -> AgiClient:
        return cls(*await asyncio.open_connection(host, port))

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def command(self) -> list[str] | None:
        """The next command's words, None when the server closed."""
        try:
            line = await self.reader.readline()
        except ConnectionError:
            return None
        return parse_arguments(line.decode().rstrip("\n")) if line else None

    async def closed(self) -> bool:
        """Wait until the server closed; True if nothing more was sent."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            pass

    def abort(self) -> None:
        self.writer.transport.abort()


class FakeCaller:
    """A caller in the dialplan's AGI(): answers commands until the server closes, as Asterisk 22 does.

    `keys` are pressed one a listening command (a prompt whose escape digits hold the key, or WAIT FOR DIGIT); "-" lets
    one such command time out. `hang_up_at` is the number of the command during which the caller leaves (0: before the
    first). `answers` overrides the reply of a command by its verb.
    """

    def __init__(
        self,
        *,
        keys: str = "",
        hang_up_at: int | None = None,
        missing: frozenset[str] = frozenset(),
        answers: Mapping[str, str | Callable[[list[str]], str]] | None = None,
    ) -> None:
        self.keys = list(keys)
        self.hang_up_at = hang_up_at
        self.missing = missing
        self.answers = dict(answers or {})
        self.variables: dict[str, str] = {}
        self.played: list[str] = []
        self.commands: list[list[str]] = []
        self.hung_up = False

    async def call(self, port: int, script: str = "call", args: Sequence[str] | None = None) -> FakeCaller:
        """Run one AGI() to its end."""
        client = await AgiClient.connect(port)
        try:
            block = environment(script, args) if args is not None else environment(script)
            await client.send(block)
            if self.hang_up_at == 0:
                await self._leave(client)
            while (words := await client.command()) is not None:
                self.commands.append(words)
                if self.hang_up_at == len(self.commands):
                    await client.send("200 result=-1\n" if len(self.commands) % 2 else b"")
                    await self._leave(client)
                    continue
                await client.send(self.reply(words) + "\n")
        except ConnectionError:
            pass
        finally:
            await client.close()
        return self

    async def _leave(self, client: AgiClient) -> None:
        # AGIEXITONHANGUP=yes: HANGUP, then Asterisk closes its side.
        self.hung_up = True
        await client.send("HANGUP\n")
        client.writer.write_eof()

    def reply(self, words: list[str]) -> str:
        for size in (3, 2, 1):
            verb = " ".join(words[:size]).upper()
            if verb in self.answers:
                answer = self.answers[verb]
                return answer if isinstance(answer, str) else answer(words)
        match [word.upper() for word in words[:3]]:
            case ["STREAM", "FILE", *_]:
                return self._stream(words[2], words[3])
            case ["WAIT", "FOR", "DIGIT"]:
                key = self.keys.pop(0) if self.keys else "-"
                return f"200 result={0 if key == '-' else ord(key)}"
            case ["SET", "VARIABLE", *_] if words[2].startswith("ARRAY("):
                names = words[2].removeprefix("ARRAY(").removesuffix(")").split(",")
                self.variables |= zip(names, words[3].split(","), strict=True)
                return "200 result=1"
            case ["SET", "VARIABLE", *_]:
                self.variables[words[2]] = words[3]
                return "200 result=1"
            case ["GET", "VARIABLE", *_]:
                value = self.variables.get(words[2])
                return "200 result=0" if value is None else f"200 result=1 ({value})"
            case ["VERBOSE", *_]:
                return "200 result=1"
            case ["ANSWER"] | ["NOOP", *_]:
                return "200 result=0"
            case ["HANGUP", *_]:
                return "200 result=1"
            case ["CHANNEL", "STATUS", *_]:
                return "200 result=6"
            case ["EXEC", *_]:
                return "200 result=0"
            case _:
                return "510 Invalid or unknown command"

    def _stream(self, sound: str, escape: str) -> str:
        if sound in self.missing:
            return "200 result=-1 endpos=0"  # as a hang-up would
        self.played.append(sound)
        if self.keys and self.keys[0] in escape:
            return f"200 result={ord(self.keys.pop(0))} endpos=4000"
        return "200 result=0 endpos=16000"
