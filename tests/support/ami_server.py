"""A scripted AMI server for faults: greets and logs in like Asterisk 22, keeps what it was asked, and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

GREETING = b"Asterisk Call Manager/11.0.0\r\n"
Action = dict[str, str]


def block(**headers: str) -> bytes:
    """One message; `Event=...` or `Response=...` first."""
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items()) + b"\r\n"


class Connection:
    """One client."""

    def __init__(self, server: FakeAmi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.logged_in = False

    def send(self, data: bytes) -> None:
        """Send now."""
        if not self.server.stalled and not self.writer.is_closing():
            self.writer.write(data)

    def answer(self, action: Action, **headers: str) -> None:
        """Answer an action with `Response: Success`, or with what `headers` say."""
        self.send(block(**{"Response": "Success", "ActionID": action["ActionID"], **headers}))

    def list_of(self, action: Action, items: list[bytes], *, complete: str = "ListComplete") -> None:
        """Answer with a list: `items` are lines without ActionID and without the empty line."""
        self.answer(action, EventList="start", Message="will follow")
        identity = f"ActionID: {action['ActionID']}\r\n\r\n".encode()
        for item in items:
            self.send(item + identity)
        self.send(block(Event=complete, ActionID=action["ActionID"], EventList="Complete", ListItems=str(len(items))))

    def close(self, *, abruptly: bool = False) -> None:
        """End this connection."""
        if abruptly:
            self.writer.transport.abort()
        else:
            self.writer.close()


Handler = Callable[[Connection, Action], Awaitable[None] | None]


class FakeAmi:
    """Listens on a free port of 127.0.0.1 while entered.

    `on(name, handler)` overrules the answer to one action. `channels` and `devices` are the items of the lists, as lines
    without the empty line. `stalled` stops answering, reading on.
    """

    def __init__(self, *, secret: str = "right") -> None:
        self.secret = secret
        self.port = 0
        self.actions: list[Action] = []
        self.connections: list[Connection] = []
        self.channels: list[bytes] = []
        self.devices: list[bytes] = []
        self.uptime = 100
        self.greeting = GREETING
        self.stalled = False
        self.boots = True
        self._handlers: dict[str, Handler] = {}
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def listen(self) -> None:
        """Take connections (again), at the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        if self._server is None:
            return
        self._server.close()
        for connection in self.connections:
            connection.close(abruptly=True)
        await self._server.wait_closed()
        self._server = None
        await self.until(lambda: not self.connections)

    def on(self, name: str, handler: Handler) -> None:
        """Overrule the answer to the action `name`."""
        self._handlers[name] = handler

    def event(self, **headers: str) -> None:
        """Send an event to every client that is logged in."""
        self.send(block(**headers))

    def send(self, data: bytes) -> None:
        """Send bytes to every client that is logged in."""
        for connection in self.connections:
            if connection.logged_in:
                connection.send(data)

    def asked(self, name: str) -> list[Action]:
        """The actions of that name so far."""
        return [action for action in self.actions if action["Action"] == name]

    async def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait for a condition that this server's doings bring about."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.append(connection)
        connection.send(self.greeting)
        try:
            async for action in self._read(reader):
                handler = self._handlers.get(action["Action"])
                done = (handler or self._answer)(connection, action)
                if done is not None:
                    await done
                self.actions.append(action)
                await self._notify()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connections.remove(connection)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _read(self, reader: asyncio.StreamReader) -> AsyncIterator[Action]:
        while True:
            data = await reader.readuntil(b"\r\n\r\n")
            action: Action = {}
            for line in data.decode().split("\r\n"):
                name, _, value = line.partition(": ")
                if name:
                    action.setdefault(name, value)
            yield action

    def _answer(self, connection: Connection, action: Action) -> Awaitable[None] | None:
        name = action["Action"]
        if name == "Login":
            if action["Secret"] != self.secret:
                connection.answer(action, Response="Error", Message="Authentication failed")
                connection.close()
                return None
            connection.answer(action, Message="Authentication accepted")
            connection.logged_in = True
            if self.boots:
                connection.send(
                    block(Event="FullyBooted", Privilege="system,all", Uptime=str(self.uptime), Status="Fully Booted")
                )
        elif name == "Ping":
            connection.answer(action, Ping="Pong", Timestamp="1795288312.813245")
        elif name == "Status":
            connection.list_of(action, self.channels, complete="StatusComplete")
        elif name == "DeviceStateList":
            connection.list_of(action, self.devices, complete="DeviceStateListComplete")
        elif name in ("Redirect", "Hangup"):
            known = any(f"Channel: {action['Channel']}\r\n".encode() in item for item in self.channels)
            if known:
                connection.answer(action, Message=f"{name} successful")
            else:
                connection.answer(action, Response="Error", Message="Channel not specified or does not exist")
        else:
            connection.answer(action, Response="Error", Message="Invalid/unknown command")
        return None


class CutPoint:
    """A TCP relay in front of a real Asterisk: `cut` breaks every connection through it, `refuse` lets no new one in."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.refuse = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.refuse = True
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks)

    def cut(self) -> None:
        """Break all connections now."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            if self.refuse:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
            self._writers.discard(far_writer)
        except ConnectionError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
