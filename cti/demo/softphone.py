"""Scripted softphones over real SIP and RTP (pjsua2), for the demo's callers and agents and for the tests.

Each phone is a process (see `phone_process`) with its own local address and port, so a caller can come from the carrier's
address while an agent comes from the local one. Sound goes through a null device: tones are made and heard in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import json
import sys
from pathlib import Path
from typing import Any, Literal

from cti.errors import CtiError

ANSWER_WITHIN = 10.0
"""Seconds a phone process has for an order."""


class PhoneError(CtiError):
    """A softphone could not do what it was asked; the SIP library's reason is in the message."""

    error_id = "phone_failed"


class PhoneRoom:
    """Some phones; they are gone when the room is left."""

    def __init__(self) -> None:
        self.phones: list[Softphone] = []

    async def __aenter__(self) -> PhoneRoom:
        if importlib.util.find_spec("pjsua2") is None:
            raise PhoneError("the softphone library is not installed", remedy="pip install 'cti-server[local]'")
        return self

    async def __aexit__(self, *_exc: object) -> None:
        phones, self.phones = self.phones, []
        await asyncio.gather(*(phone.quit() for phone in phones))

    async def phone(
        self,
        *,
        user: str,
        password: str = "",
        server: str,
        address: str = "127.0.0.1",
        port: int = 0,
        register: bool = True,
        display: str = "",
        transport: Literal["udp", "tls"] = "udp",
        srtp: Literal["off", "optional", "mandatory"] = "off",
    ) -> Softphone:
        """A phone of its own at `address`; `server` is host:port. With `register` it is reachable when this returns.

        Over TLS it takes any certificate: it is for demonstrations and tests.
        """
        phone = Softphone(user=user, server=server)
        self.phones.append(phone)
        await phone.begin()
        await phone.order(
            "open",
            user=user, password=password, server=server, address=address, port=port, register=register, display=display,
            transport=transport, srtp=srtp,
        )  # fmt: skip
        if register:
            async with asyncio.timeout(ANSWER_WITHIN):
                await phone.registered.wait()
        return phone


class Softphone:
    """One phone."""

    def __init__(self, *, user: str, server: str) -> None:
        self.user = user
        self.server = server
        self.registered = asyncio.Event()
        self.incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._begun = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._calls: dict[int, PhoneCall] = {}

    async def begin(self) -> None:
        """Start the process. Raises `PhoneError`."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cti.demo.phone_process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1 << 20,
            start_new_session=True,  # Ctrl-C is for us: the phone ends with its standard input
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(20):
                await self._begun.wait()
        except TimeoutError:
            raise PhoneError("the phone process did not begin") from None

    async def quit(self) -> None:
        """Hang up, unregister, end the process."""
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(ConnectionError):
            process.stdin.write(b'{"id": 0, "do": "quit"}\n')
            process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reader is not None:
            await self._reader

    async def order(self, name: str, **fields: Any) -> Any:
        """Ask the process for something. Raises `PhoneError` with the library's reason."""
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            raise PhoneError(f"phone {self.user}: its process has ended")
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            process.stdin.write(json.dumps({"id": number, "do": name, **fields}).encode() + b"\n")
            async with asyncio.timeout(ANSWER_WITHIN):
                return await answer
        except (TimeoutError, ConnectionError) as error:
            raise PhoneError(f"phone {self.user}: no answer to {name}") from error
        finally:
            self._asked.pop(number, None)

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if line.startswith(b"{"):  # the library prints a few lines of its own before it can be told not to
                self._hear(json.loads(line))
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(PhoneError(f"phone {self.user}: its process has ended"))
        for call in self._calls.values():
            call.ended.set()

    def _hear(self, message: dict[str, Any]) -> None:
        if "id" in message:
            answer = self._asked.get(message["id"])
            if answer is not None and not answer.done():
                if message["ok"]:
                    answer.set_result(message["value"])
                else:
                    answer.set_exception(PhoneError(f"phone {self.user}: {message['why']}"))
            return
        match message["event"]:
            case "begun":
                self._begun.set()
            case "registered":
                self.registered.set()
            case "unregistered":
                self.registered.clear()
            case "incoming":
                call = self._call(message["call"])
                call.invite = message["invite"]
                self.incoming.put_nowait(call)
            case "confirmed":
                self._call(message["call"]).confirmed.set()
            case "media":
                self._call(message["call"]).media.set()
            case "key":
                self._call(message["call"]).pressed += message["key"]
            case "ended":
                call = self._call(message["call"])
                call.last_status = message["status"]
                call.ended.set()

    def _call(self, number: int) -> PhoneCall:
        if number not in self._calls:
            self._calls[number] = PhoneCall(self, number)
        return self._calls[number]

    async def dial(self, number: str, *, headers: dict[str, str] | None = None) -> PhoneCall:
        """Call `number` at the phone's server; gives the call at once, see `PhoneCall.confirmed`."""
        return self._call(await self.order("dial", number=number, headers=headers or {}))

    async def unregister(self) -> None:
        """Be unreachable from now on."""
        with contextlib.suppress(PhoneError):  # it was not registered
            await self.order("unregister")


class PhoneCall:
    """One call of a softphone."""

    def __init__(self, phone: Softphone, number: int) -> None:
        self.phone = phone
        self.number = number
        self.invite = ""
        """The INVITE as received, for its headers."""
        self.confirmed = asyncio.Event()
        self.ended = asyncio.Event()
        self.media = asyncio.Event()
        self.last_status = 0
        """SIP status it ended with."""
        self.pressed = ""
        """Keys the other side pressed."""
        self._recording: Path | None = None

    def header(self, name: str) -> str | None:
        """A header of the INVITE that came in, None when it has none."""
        prefix = f"{name.lower()}:"
        for line in self.invite.splitlines():
            if line.lower().startswith(prefix):
                return line.split(":", 1)[1].strip()
        return None

    async def answer(self, status: int = 200) -> None:
        """Answer, or refuse with another status (486 busy, 603 decline)."""
        await self.phone.order("answer", call=self.number, status=status)

    async def hang_up(self) -> None:
        """End the call; harmless when it is over."""
        with contextlib.suppress(PhoneError):
            await self.phone.order("hang_up", call=self.number)

    async def hold(self, held: bool) -> None:
        """Put the other side on hold, or take it back, by re-INVITE."""
        await self.phone.order("hold", call=self.number, held=held)

    async def press(self, digits: str) -> None:
        """Press keys, sent by RFC 4733."""
        await self.phone.order("press", call=self.number, digits=digits)

    async def play_tone(self, hertz: int) -> None:
        """Speak: a tone into the call."""
        await self._sound()
        await self.phone.order("tone", call=self.number, hertz=hertz)

    async def say(self, path: Path) -> None:
        """Speak: what is in a WAV file (16 bits, one channel), once; then be silent."""
        await self._sound()
        await self.phone.order("play", call=self.number, path=str(path))

    async def record(self, path: Path) -> None:
        """Hear: write what comes in to a WAV file, complete after `stop_recording`."""
        await self._sound()
        self._recording = path
        await self.phone.order("record", call=self.number, path=str(path))

    async def stop_recording(self, *, least: float = 0.8) -> None:
        """Close the recording; returns when the file is whole.

        `least`: seconds of sound that it is to have, within ten seconds more. A machine that is busy comes late with the sound.
        """
        path, self._recording = self._recording, None
        if path is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    while _recorded(path) < least:  # noqa: ASYNC110 - the library writes on a thread of its own
                        await asyncio.sleep(0.02)
        await self.phone.order("stop_recording", call=self.number)
        if path is not None:
            async with asyncio.timeout(5):
                while not _whole(path):  # noqa: ASYNC110 - the library closes the file on a thread of its own
                    await asyncio.sleep(0.01)

    async def _sound(self) -> None:
        async with asyncio.timeout(10):
            await self.media.wait()


def _recorded(path: Path) -> float:
    """Seconds of sound in a WAV file that is being written: one channel, two bytes a sample."""
    try:
        with path.open("rb") as file:
            rate = int.from_bytes(file.read(28)[24:], "little")
        return (path.stat().st_size - 44) / (rate * 2) if rate else 0.0
    except OSError:
        return 0.0


def _whole(path: Path) -> bool:
    """Whether a WAV file's head tells its true length: it is written last."""
    head = path.read_bytes()[:8]
    return len(head) == 8 and int.from_bytes(head[4:], "little") + 8 == path.stat().st_size
