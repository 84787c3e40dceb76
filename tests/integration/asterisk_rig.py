"""A real Asterisk on the product's own rendered configuration, with a stub bridge: raw AMI and a scripted FastAGI server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cti.asterisk.install import ensure_asterisk
from cti.asterisk.process import AsteriskProcess
from cti.asterisk.render import RenderedPaths, render
from cti.ids import AgentId, FlowName, QueueName
from cti.model.centre import Agent, Centre, Number, Queue
from cti.settings import Settings
from tests.support.sip_phone import SipPhone

QUEUES = (QueueName("support"), QueueName("sales"))


def small_centre(*, ring_seconds: int = 5) -> Centre:
    """Two agents, two queues, two numbers."""
    return Centre(
        name="Test",
        languages=("en",),
        queues={
            name: Queue(name=name, titles={"en": name}, ring_timeout=timedelta(seconds=ring_seconds)) for name in QUEUES
        },
        agents={
            AgentId(extension): Agent(agent_id=AgentId(extension), name=name, queues=QUEUES)
            for extension, name in (("1001", 'Ann; "A" 李'), ("1002", "Bo"))
        },
        tiers={},
        numbers={
            did: Number(did=did, flow=FlowName("main"), survival_queue=queue)
            for did, queue in (("5000", QUEUES[0]), ("+15550100", QUEUES[1]))
        },
    )


@dataclass(frozen=True, slots=True)
class TestSecrets:
    """Secrets as the product's file holds them."""

    __test__ = False
    ami: str = "ami-secret"
    sip: dict[str, str] = field(
        default_factory=lambda: {name: f"secret-{name}" for name in ("1001", "1001-web", "1002", "1002-web", "webcall")}
    )


def free_settings(data: Path, **overrides: object) -> Settings:
    """Settings with free ports, a block for RTP, and a carrier's address of one's own."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(5)]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        for one in (*sockets, udp):
            one.bind(("127.0.0.1", 0))
        web, ws, ami, agi, sip_tls = (one.getsockname()[1] for one in sockets)
        sip = udp.getsockname()[1]
    finally:
        for one in (*sockets, udp):
            one.close()
    first = random.randrange(10000, 28000, 2)
    carrier = f"127.{random.randint(16, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
    tree: dict[str, object] = {
        "data": data,
        "ports": {
            "web": web, "sip": sip, "sip_tls": sip_tls, "ws": ws, "ami": ami, "agi": agi, "rtp_first": first, "rtp_last": first + 3999,
        },
        "trunk": {"match": [carrier]},
    }  # fmt: skip
    return Settings.model_validate(tree | overrides)


class RawAmi:
    """An AMI session that keeps every byte; events are also queued as dictionaries."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.raw = bytearray()
        self.events: list[dict[str, str]] = []
        self._news = asyncio.Condition()
        self._count = 0
        self._answers: dict[str, dict[str, str]] = {}
        self.on_event: Callable[[dict[str, str]], None] | None = None
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, port: int, user: str, secret: str) -> RawAmi:
        """Log in."""
        session = cls(*await asyncio.open_connection("127.0.0.1", port))
        answer = await session.action(Action="Login", Username=user, Secret=secret)
        assert answer["Response"] == "Success", answer
        return session

    async def close(self) -> None:
        """End the session."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def send(self, **headers: str) -> str:
        """Send an action without waiting for its answer; returns its ActionID."""
        self._count += 1
        action_id = f"t{self._count}"
        text = "".join(f"{name}: {value}\r\n" for name, value in {**headers, "ActionID": action_id}.items())
        self._writer.write(text.encode() + b"\r\n")
        return action_id

    async def action(self, **headers: str) -> dict[str, str]:
        """Send an action and wait for its answer."""
        action_id = self.send(**headers)
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: action_id in self._answers)
        return self._answers[action_id]

    async def event(self, name: str, *, seconds: float = 60, since: int = 0, **wanted: str) -> dict[str, str]:
        """The first event from position `since` with this name (of a UserEvent too) and these headers."""

        def found() -> dict[str, str] | None:
            for event in self.events[since:]:
                kind = event.get("UserEvent") if event.get("Event") == "UserEvent" else event.get("Event")
                if kind == name and all(event.get(key) == value for key, value in wanted.items()):
                    return event
            return None

        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: found() is not None)
        except TimeoutError:
            seen = [event.get("UserEvent") or event.get("Event") for event in self.events[since:]]
            raise AssertionError(f"no {name} {wanted} within {seconds} s; seen: {seen}") from None
        event = found()
        assert event is not None
        return event

    async def _read(self) -> None:
        buffer = b""
        while data := await self._reader.read(65536):
            self.raw += data
            buffer += data
            *blocks, buffer = buffer.split(b"\r\n\r\n")
            for block in blocks:
                fields: dict[str, str] = {}
                for line in block.decode("utf-8", "surrogateescape").split("\r\n"):
                    key, _, value = line.partition(": ")
                    fields.setdefault(key, value)
                if "Response" in fields:
                    self._answers[fields.get("ActionID", "")] = fields
                else:
                    self.events.append(fields)
                    if self.on_event is not None:
                        self.on_event(fields)
            async with self._news:
                self._news.notify_all()


class AgiSession:
    """One connection from Asterisk."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.raw = b""
        self.script = ""
        self.args: list[str] = []
        self.channel = ""

    async def start(self) -> None:
        """Read the header block."""
        self.raw = await self.reader.readuntil(b"\n\n")
        headers = dict(line.split(": ", 1) for line in self.raw.decode().splitlines() if ": " in line)
        self.script = headers["agi_network_script"]
        self.channel = headers["agi_channel"]
        self.args = [headers[f"agi_arg_{n}"] for n in range(1, 9) if f"agi_arg_{n}" in headers]

    async def set(self, **variables: str) -> bool:
        """Set channel variables in order; False when the session is over."""
        for name, value in variables.items():
            self.writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
            line = await self.reader.readline()
            if not line.startswith(b"200 result=1"):
                return False
        return True


AgiHandler = Callable[[AgiSession], Awaitable[None]]


class StubBridge:
    """A FastAGI server whose answers a test scripts: one handler for each of call, wait, option."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.handlers: dict[str, AgiHandler] = {"call": queue_call, "wait": keep_waiting, "option": keep_waiting}
        self.sessions: list[AgiSession] = []
        self.visits: list[tuple[str, list[str]]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Condition()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1000)

    async def stop(self) -> None:
        """Stop listening and cut every session, as a killed process does."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            self._server = None

    async def visited(self, script: str, *, count: int = 1, seconds: float = 60) -> None:
        """Wait until `script` was asked `count` times."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: sum(name == script for name, _ in self.visits) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = AgiSession(reader, writer)
        self._writers.add(writer)
        try:
            await session.start()
            self.sessions.append(session)
            async with self._news:
                self.visits.append((session.script, session.args))
                self._news.notify_all()
            await self.handlers[session.script](session)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


async def queue_call(session: AgiSession) -> None:
    """The shortest flow: into the queue."""
    await session.set(CTI_QUEUE="support", CTI_RING="5", CTI_NEXT="wait")


async def keep_waiting(session: AgiSession) -> None:
    """The answer to a visit."""
    await session.set(CTI_NEXT="wait")


@dataclass(slots=True)
class Rig:
    """A running Asterisk and what tests do with it."""

    settings: Settings
    paths: RenderedPaths
    process: AsteriskProcess
    ami: RawAmi
    bridge: StubBridge
    secrets: TestSecrets

    @property
    def sip(self) -> tuple[str, int]:
        """Where Asterisk listens for SIP."""
        return "127.0.0.1", self.settings.ports.of("sip")

    @property
    def carrier(self) -> str:
        """The address callers come from."""
        return self.settings.trunk.match[0]

    def phone(self, account: str, **options: str) -> SipPhone:
        """An agent's phone."""
        return SipPhone(account, self.secrets.sip[account], self.sip, **options)

    def deliver(self, channel: str, offer: int, agent: str = "1001", device: int = 1) -> str:
        """Redirect a caller to an agent, as the bridge does; returns the ActionID."""
        return self.ami.send(
            Action="Redirect",
            Channel=channel,
            Context="cti-deliver",
            Exten=f"{offer:010d}{device}{agent}",
            Priority="1",
        )

    def log_lines(self, *levels: str) -> list[str]:
        """Lines of these levels in Asterisk's log."""
        text = self.paths.log_file.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if any(f" {level}[" in line for level in levels)]

    def ledger(self) -> list[str]:
        """Lines of the event ledger."""
        with contextlib.suppress(FileNotFoundError):
            return self.paths.ledger.read_text(encoding="utf-8").splitlines()
        return []


@contextlib.asynccontextmanager
async def running_asterisk(
    folder: Path, *, bridge: bool = True, start_seconds: float = 30, **overrides: object
) -> AsyncIterator[Rig]:
    """Boot Asterisk on free ports, within so many seconds; with `bridge` the stub listens from the start."""
    settings = free_settings(folder / "data", **overrides)
    binary = await asyncio.to_thread(ensure_asterisk, settings, lambda step, done, total: None)
    secrets = TestSecrets()
    paths = render(settings, small_centre(), secrets, binary, folder / "prompts", folder / "data" / "asterisk")
    process = AsteriskProcess(binary, paths)
    stub = StubBridge(settings.ports.of("agi"))
    if bridge:
        await stub.start()
    await process.start(within=timedelta(seconds=start_seconds))
    rig: Rig | None = None
    try:
        ami = await RawAmi.connect(settings.ports.of("ami"), settings.asterisk.ami_user, secrets.ami)
        rig = Rig(settings=settings, paths=paths, process=process, ami=ami, bridge=stub, secrets=secrets)
        await ami.event("FullyBooted")
        yield rig
    finally:
        if rig is not None:
            await rig.ami.close()
        await process.stop()
        await stub.stop()


async def until(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Wait for a condition that has no event of its own (a file, a log line)."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - a file or a log has no event to wait for
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None


def names(events: Iterable[dict[str, str]]) -> list[str]:
    """Names of events, user events by their own."""
    return [event.get("UserEvent") or event.get("Event", "") for event in events]
