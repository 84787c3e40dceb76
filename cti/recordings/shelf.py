"""The one place that knows where a recording's file is: still plain in its folder, sealed beside it, or in the bucket.

Files move in one direction, and the old one goes only after the new one was read back and compared, so wherever one looks in
this order one finds the whole sound: the plain file, the sealed one here, the one in the bucket.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cti.errors import CtiError
from cti.ids import CallId
from cti.recordings import sealing
from cti.recordings.live import live_sound, shred
from cti.recordings.sealing import KeyRing, SealHead
from cti.services.recordings import NoRecording, RecordingAway, Sound, SoundStore

SEALED = ".sealed"
PEAKS = ".peaks"
READ_AT_A_TIME = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where a file went."""

    place: str
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class _Plain:
    store: SoundStore
    name: str
    size: int

    async def read(self, start: int, stop: int) -> bytes:
        return await self.store.read(self.name, start, min(stop, self.size))


@dataclass(frozen=True, slots=True)
class _Sealed:
    store: SoundStore
    name: str
    head: SealHead
    ring: KeyRing

    @property
    def size(self) -> int:
        return self.head.size

    async def read(self, start: int, stop: int) -> bytes:
        stop = min(stop, self.head.size)
        if stop <= start:
            return b""
        begin, end, first = sealing.span_of(self.head, start, stop)
        content = await self.store.read(self.name, begin, end)
        if len(content) != end - begin:
            raise NoRecording("the sealed file is cut off")
        return await asyncio.to_thread(sealing.unseal, self.head, content, first, start, stop, self.ring)


class Shelf:
    """Files by kind (talk, message, voicemail) and name ("<call>.wav").

    `folders` are where they are made; `ring` None: nothing is sealed from now on (what is sealed is read by `keys`);
    `bucket` None: files stay here.
    """

    def __init__(
        self,
        folders: Mapping[str, Path],
        *,
        keys: KeyRing,
        sealing: bool,
        bucket: SoundStore | None,
        local: Mapping[str, SoundStore],
    ) -> None:
        self.folders = folders
        self._keys = keys
        self._sealing = sealing
        self._bucket = bucket
        self._local = local

    @property
    def moves(self) -> bool:
        """Whether finished files are sealed or sent away."""
        return self._sealing or self._bucket is not None

    def plain(self, kind: str, name: str) -> Path:
        """The file as it was made. Raises `NoRecording` for a name that is none."""
        if _NAME.fullmatch(name) is None or kind not in self.folders:
            raise NoRecording("there is no such recording")
        return self.folders[kind] / name

    async def open(self, kind: str, name: str) -> Sound:
        """The sound, wherever it is. Raises `NoRecording` or `RecordingAway`."""
        self.plain(kind, name)
        local = self._local[kind]
        places: list[tuple[SoundStore, str]] = [(local, name), (local, name + SEALED)]
        if self._bucket is not None:
            places += [(self._bucket, f"{kind}/{name}"), (self._bucket, f"{kind}/{name}{SEALED}")]
        away: RecordingAway | None = None
        for store, key in places:
            try:
                if (size := await store.size(key)) is None:
                    continue
                if not key.endswith(SEALED):
                    return _Plain(store, key, size)
                head = sealing.head_of(await store.read(key, 0, min(size, sealing.HEAD)))
                return _Sealed(store, key, head, self._keys)
            except RecordingAway as error:
                away = error
        raise away or NoRecording("there is no file of this recording")

    async def keep(self, kind: str, name: str) -> Moved | None:
        """Seal and send away a finished file; None when there is nothing to do. Done again after any failure.

        Raises `RecordingAway`, `NoRecording` (what came back is not what was sent; the file stays here) or OSError.
        """
        file = self.plain(kind, name)
        if not self.moves or not file.is_file():
            return None
        digest = await asyncio.to_thread(_digest, file)
        source, target, key_id = file, name, ""
        draft = file.with_name(f".{name}{SEALED}.part")
        try:
            if self._sealing:
                key_id = await asyncio.to_thread(sealing.seal, file, draft, self._keys)
                source, target = draft, name + SEALED
            store = self._bucket or self._local[kind]
            key = f"{kind}/{target}" if self._bucket is not None else target
            if self._bucket is not None:
                await store.put(key, source)
            else:
                await asyncio.to_thread(draft.replace, file.with_name(target))
            await self._compare(store, key, digest)
        finally:
            draft.unlink(missing_ok=True)
        await self.discard(file)
        return Moved(place=store.place, key_id=key_id)

    async def discard(self, *files: Path) -> None:
        """Delete plain files of what is kept elsewhere; where recordings are sealed, zeros are written over them first."""
        for file in files:
            if self._sealing:
                await asyncio.to_thread(shred, file)
            else:
                await asyncio.to_thread(file.unlink, missing_ok=True)

    async def _compare(self, store: SoundStore, key: str, digest: str) -> None:
        size = await store.size(key)
        if size is None:
            raise RecordingAway(f"{key}: what was sent is not there", remedy="it is sent again")
        found: Sound = _Plain(store, key, size)
        if key.endswith(SEALED):
            found = _Sealed(store, key, sealing.head_of(await store.read(key, 0, sealing.HEAD)), self._keys)
        whole = hashlib.sha256()
        for start in range(0, found.size, READ_AT_A_TIME):
            whole.update(await found.read(start, start + READ_AT_A_TIME))
        if whole.hexdigest() != digest:
            raise NoRecording(f"{key} is not what was sent")

    async def delete(self, kind: str, name: str) -> bool:
        """Delete the file wherever it lies, and its waveform. Gives whether anything was there. Raises `RecordingAway`."""
        self.plain(kind, name)
        local, gone = self._local[kind], False
        for end in ("", SEALED, PEAKS, PEAKS + SEALED):
            gone |= await local.delete(name + end)
        for file in live_sound(self.folders[kind] / "live", CallId(name.removesuffix(".wav"))).files:
            if file.is_file():
                await self.discard(file)
                gone = True
        if self._bucket is not None:
            for end in ("", SEALED, PEAKS, PEAKS + SEALED):
                gone |= await self._bucket.delete(f"{kind}/{name}{end}")
        return gone

    async def beside(self, kind: str, name: str) -> bytes | None:
        """The waveform that was kept; None: none yet."""
        try:
            found = await self.open(kind, name + PEAKS)
            return await found.read(0, found.size)
        except CtiError:
            return None

    async def keep_beside(self, kind: str, name: str, content: bytes) -> None:
        """Keep the waveform where its sound is kept. Raises as `keep`."""
        file = self.plain(kind, name + PEAKS)
        await asyncio.to_thread(file.write_bytes, content)
        await self.keep(kind, name + PEAKS)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(READ_AT_A_TIME):
            digest.update(block)
    return digest.hexdigest()
