"""A proxy between two parts of the centre: lets bytes through, or cuts, stalls, slows or swallows them."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum, auto
from pathlib import Path

CHUNK = 16384
SLOW_BYTES = 200
"""Bytes that go through in one `SLOW_EVERY` in each direction, while it is slow."""
SLOW_EVERY = 0.5


class Mode(Enum):
    """What happens to bytes and to new connections."""

    PASS = auto()
    CUT = auto()
    """Connections are reset, new ones refused at once."""
    STALL = auto()
    """Nothing is read; the kernels' buffers fill."""
    SLOW = auto()
    SWALLOW = auto()
    """Everything is read and nothing passed on."""


class Proxy:
    """Listens on `host`:`port` (0: some port) and leads to a TCP address or a Unix socket."""

    def __init__(self, host: str, port: int, target: tuple[str, int] | Path) -> None:
        self._host = host
        self._target = target
        self.port = port
        self._mode = Mode.PASS
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen. Raises `OSError`."""
        self._server = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End, with all connections."""
        if self._server is not None:
            self._server.close()
        self._reset()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def become(self, mode: Mode) -> None:
        """Change what happens, now, to the connections there are too. From `SWALLOW` and `CUT` no connection comes back."""
        if mode is Mode.CUT or (mode is Mode.PASS and self._mode is Mode.SWALLOW):
            self._reset()
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self._mode is Mode.CUT:
                return
            while self._mode in (Mode.STALL, Mode.SWALLOW):
                await self._changed.wait()
            if isinstance(self._target, Path):
                answers, far = await asyncio.open_unix_connection(str(self._target))
            else:
                answers, far = await asyncio.open_connection(*self._target)
            self._open.add(far)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far))
                group.create_task(self._pump(answers, writer))
        except* (OSError, EOFError):
            pass  # one side has gone: both go
        finally:
            for one in (writer, far):
                if one is not None:
                    self._open.discard(one)
                    one.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while True:
            await self._flowing()
            data = await source.read(CHUNK)
            await self._flowing()
            if not data:
                raise EOFError
            while data and self._mode is not Mode.SWALLOW:
                slow, changed = self._mode is Mode.SLOW, self._changed
                piece = SLOW_BYTES if slow else CHUNK
                sink.write(data[:piece])
                await sink.drain()
                data = data[piece:]
                if slow:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), SLOW_EVERY)
                    await self._flowing()

    async def _flowing(self) -> None:
        while self._mode is Mode.STALL:
            await self._changed.wait()
