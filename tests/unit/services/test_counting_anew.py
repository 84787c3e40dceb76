"""The task that counts anew tells the live figures, whatever fails on the way."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from cti.errors import RemoteError
from cti.store import anew
from cti.store.anew import CountsAnew


class Counts(CountsAnew):
    """Without a database: what is to be said of each look."""

    def __init__(self, *looks: bool | Exception) -> None:
        super().__init__("", rules=dict, zone=lambda: "UTC", allowed=dict)
        self.looks = list(looks)
        self.done: list[str] = []

    async def needed(self) -> bool:
        """The next of the looks; the last one again and again."""
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, Exception):
            raise look
        return look

    async def once(self) -> int:
        """Count."""
        self.done.append("counted")
        return 1


@pytest.mark.parametrize(
    ("looks", "fails", "done"),
    [
        ((False,), 0, ["last"]),
        ((True, False), 0, ["first", "counted", "last"]),
        ((asyncpg.UndefinedTableError("gone"), RemoteError("away"), False), 0, ["last"]),
        ((False,), 2, ["failed", "failed", "last"]),
        ((True, True, False), 1, ["failed", "first", "counted", "last"]),
    ],
)
async def test_today_is_told_until_it_is_known(
    looks: tuple[bool | Exception, ...], fails: int, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anew, "ASK_AGAIN", 0.0)
    counts, known = Counts(*looks), asyncio.Event()

    async def today(*, last: bool) -> None:
        nonlocal fails
        if fails:
            fails -= 1
            counts.done.append("failed")
            raise RemoteError("away")
        counts.done.append("last" if last else "first")
        if last:
            known.set()

    task = asyncio.create_task(counts.run(today, lambda: not known.is_set()))
    async with asyncio.timeout(60):
        await known.wait()
    task.cancel()
    assert counts.done == done


async def test_a_driver_error_of_a_look_is_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        async def fetchrow(self, _question: str) -> None:
            raise asyncpg.InterfaceError("connection is closed")

        async def close(self, *, timeout: float) -> None:
            raise TimeoutError(timeout)

        def terminate(self) -> None:
            """Gone."""

    async def connect(_dsn: str, **_how: object) -> Broken:
        return Broken()

    monkeypatch.setattr(anew, "connect", connect)
    with pytest.raises(RemoteError):
        await CountsAnew("", rules=dict, zone=lambda: "UTC", allowed=dict).needed()
