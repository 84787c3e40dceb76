"""Where files of recordings can lie: a folder, or a bucket of an S3-compatible store. Both through obstore, so a stretch is read
and a large file is sent in parts in either."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from cti.errors import ConfigError
from cti.services.recordings import NoRecording, RecordingAway

PART = 8 * 1024 * 1024
"""Bytes sent at a time."""
BELIEVED = 60.0
"""Seconds for which a place that has answered is taken to be there."""
DEADLINE = 60.0
"""Seconds that one request may take, its tries included."""


class StoredSounds:
    """`SoundStore` over one of obstore's stores."""

    def __init__(self, store: Any, place: str) -> None:
        self._store = store
        self._place = place
        self._answered = -BELIEVED
        """When the place last proved to be there, on a clock that only rises."""

    @property
    def place(self) -> str:
        """See `SoundStore.place`."""
        return self._place

    async def put(self, name: str, file: Path) -> None:
        """See `SoundStore.put`. A large file goes in parts; one that breaks off is not there."""
        async with _asking(name, seconds=None):
            await obstore.put_async(self._store, name, file, chunk_size=PART, use_multipart=file.stat().st_size > PART)

    async def size(self, name: str) -> int | None:
        """See `SoundStore.size`."""
        try:
            async with _asking(name):
                return int((await obstore.head_async(self._store, name))["size"])
        except NoRecording:
            return None

    async def read(self, name: str, start: int, stop: int) -> bytes:
        """See `SoundStore.read`."""
        if stop <= start:
            return b""
        async with _asking(name):
            return bytes(await obstore.get_range_async(self._store, name, start=start, end=stop))

    async def delete(self, name: str) -> bool:
        """See `SoundStore.delete`."""
        if await self.size(name) is None:
            await self._answers()
            return False
        async with _asking(name):
            await obstore.delete_async(self._store, name)
        return True

    async def _answers(self) -> None:
        """A bucket that is not there says of every file that it is not there: nothing is called deleted on its word. Raises
        `RecordingAway`."""
        if self._place == "local" or time.monotonic() < self._answered + BELIEVED:
            return
        try:
            async with _asking(self._place), asyncio.timeout(DEADLINE):
                async for _ in obstore.list(self._store, chunk_size=1):
                    break
        except NoRecording as error:
            raise RecordingAway(f"the bucket does not answer: {error}", remedy="see recordings.s3_*") from error
        self._answered = time.monotonic()


@contextlib.asynccontextmanager
async def _asking(name: str, *, seconds: float | None = DEADLINE) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except (NotFoundError, FileNotFoundError) as error:
        raise NoRecording(f"there is no file {name}") from error
    except (BaseError, OSError, TimeoutError) as error:
        text = str(error).partition("\n")[0][:200] or type(error).__name__
        raise RecordingAway(f"{name}: {text}", remedy="it is tried again; see that the store answers") from error


def folder_of_sounds(folder: Path) -> StoredSounds:
    """A folder of this machine; it is made."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return StoredSounds(LocalStore(prefix=folder, mkdir=True), "local")


def bucket_of_sounds(
    *, bucket: str, endpoint: str, region: str, key_id: str, secret: str, path_style: bool, prefix: str = ""
) -> StoredSounds:
    """A bucket. Without `endpoint` it is Amazon's; plain http only where the endpoint says so. Raises `ConfigError`."""
    options: Any = {"region": region, "virtual_hosted_style_request": not path_style}
    if endpoint:
        options["endpoint"] = endpoint
    if key_id:
        options |= {"access_key_id": key_id, "secret_access_key": secret}
    try:
        store = S3Store(
            bucket,
            prefix=prefix or None,
            config=options,
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": timedelta(seconds=30)},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
        )
    except (BaseError, ValueError) as error:
        raise ConfigError(f"the bucket {bucket} cannot be used: {error}", remedy="correct recordings.s3_*") from error
    return StoredSounds(store, "s3")
