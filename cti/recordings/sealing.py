"""Encryption of recordings where they lie, so that any stretch can be read without the rest.

A sealed file: 8 bytes `CTISEAL1`, 16 bytes of the key's id (padded with zeros), 8 random bytes, the plain size and the size
of a block (8 and 4 bytes, big endian); then blocks of plain text, each AES-256-GCM with a tag of 16 bytes. A block's nonce is
the random bytes and its number; the header and whether it is the last are sealed with it, so that no block can be left out,
doubled, moved or cut off unnoticed.
"""

from __future__ import annotations

import base64
import json
import os
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cti.errors import ConfigError
from cti.private_file import write_private
from cti.services.recordings import NoRecording

MAGIC = b"CTISEAL1"
BLOCK = 64 * 1024
TAG = 16
_HEAD = struct.Struct(">8s16s8sQI")
HEAD = _HEAD.size
_KEY_ID = re.compile(r"[a-z0-9-]{1,16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealHead:
    """What the beginning of a sealed file says."""

    key_id: str
    salt: bytes
    size: int
    """Of the plain file."""
    block: int

    def pack(self) -> bytes:
        """The bytes on disk."""
        return _HEAD.pack(MAGIC, self.key_id.encode().ljust(16, b"\0"), self.salt, self.size, self.block)

    @property
    def blocks(self) -> int:
        """How many there are; an empty file has one."""
        return max(1, -(-self.size // self.block))


def head_of(content: bytes) -> SealHead:
    """Read the beginning of a sealed file. Raises `NoRecording`."""
    if len(content) < HEAD:
        raise NoRecording("the sealed file is cut off")
    magic, key_id, salt, size, block = _HEAD.unpack(content[:HEAD])
    if magic != MAGIC or not 0 < block <= 1 << 24:
        raise NoRecording("this is no sealed file")
    return SealHead(key_id=key_id.rstrip(b"\0").decode("ascii", "replace"), salt=salt, size=size, block=block)


class KeyRing:
    """The keys, in a file that only its owner reads. Old ones stay, for what they sealed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, bytes] = {}
        self._made: dict[str, datetime] = {}
        self.current = ""

    def open(self, now: datetime, *, days: int = 0) -> None:
        """Read the keys; make the first, and with `days` a new one when the current is older. Raises `ConfigError`."""
        if self._path.exists():
            self._read()
        if not self.current or (days and now - self._made[self.current] > timedelta(days=days)):
            self.rotate(now)

    def rotate(self, now: datetime) -> str:
        """From now on a new key; gives its id."""
        number = 1 + max((int(name[1:]) for name in self._keys if re.fullmatch(r"k[0-9]+", name)), default=0)
        self.current = f"k{number}"
        self._keys[self.current], self._made[self.current] = AESGCM.generate_key(256), now
        told = {
            "current": self.current,
            "keys": {
                name: {"key": base64.b64encode(key).decode(), "made": self._made[name].isoformat()}
                for name, key in self._keys.items()
            },
        }
        write_private(self._path, json.dumps(told, indent=1).encode() + b"\n")
        return self.current

    def key(self, key_id: str) -> AESGCM:
        """The cipher. Raises `NoRecording` for a key that is not here."""
        found = self._keys.get(key_id)
        if found is None:
            raise NoRecording(f"the key {key_id} is not in {self._path.name}")
        return AESGCM(found)

    def _read(self) -> None:
        try:
            told = json.loads(self._path.read_bytes())
            for name, one in told["keys"].items():
                key = base64.b64decode(one["key"], validate=True)
                if _KEY_ID.fullmatch(name) is None or len(key) != 32:
                    raise ValueError(name)
                self._keys[name], self._made[name] = key, datetime.fromisoformat(one["made"]).astimezone(UTC)
            self.current = told["current"]
            if self.current not in self._keys:
                raise ValueError("current")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}: the keys of recordings cannot be read ({error})",
                remedy="put the file back from a copy: without it sealed recordings cannot be heard by anybody",
            ) from error


def _nonce(salt: bytes, number: int) -> bytes:
    return salt + struct.pack(">I", number)


def _beside(head: bytes, number: int, last: bool) -> bytes:
    return head + struct.pack(">I?", number, last)


def seal(source: Path, target: Path, ring: KeyRing) -> str:
    """Write `source` sealed to `target`, on the disk when this returns; gives the key's id. Raises OSError."""
    head = SealHead(key_id=ring.current, salt=os.urandom(8), size=source.stat().st_size, block=BLOCK)
    cipher, packed = ring.key(head.key_id), head.pack()
    with source.open("rb") as plain, target.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(packed)
        for number in range(head.blocks):
            block = plain.read(BLOCK)
            if len(block) != min(BLOCK, head.size - number * BLOCK):
                raise OSError(f"{source.name} changed while it was sealed")
            beside = _beside(packed, number, number == head.blocks - 1)
            file.write(cipher.encrypt(_nonce(head.salt, number), block, beside))
        file.flush()
        os.fsync(file.fileno())
    return head.key_id


def span_of(head: SealHead, start: int, stop: int) -> tuple[int, int, int]:
    """Where the blocks lie that hold plain bytes `start` to `stop`: (first byte, end, number of the first block)."""
    first, last = start // head.block, max(start, stop - 1) // head.block
    sealed = head.block + TAG
    whole = HEAD + head.size + head.blocks * TAG
    return HEAD + first * sealed, min(HEAD + (last + 1) * sealed, whole), first


def unseal(head: SealHead, content: bytes, first: int, start: int, stop: int, ring: KeyRing) -> bytes:
    """The plain bytes `start` to `stop`, out of the blocks from number `first` on. Raises `NoRecording` for what was changed."""
    cipher, packed, plain = ring.key(head.key_id), head.pack(), bytearray()
    for number, at in enumerate(range(0, len(content), head.block + TAG), first):
        block = content[at : at + head.block + TAG]
        try:
            plain += cipher.decrypt(
                _nonce(head.salt, number), block, _beside(packed, number, number == head.blocks - 1)
            )
        except InvalidTag:
            raise NoRecording("the recording was changed, and is not played") from None
    skip = start - first * head.block
    return bytes(plain[skip : skip + stop - start])
