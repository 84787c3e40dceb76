"""Files of recordings: made, measured, sealed, moved, and read back in any stretch."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from cti.errors import ConfigError
from cti.recordings import sealing
from cti.recordings.live import LiveSound
from cti.recordings.places import StoredSounds, folder_of_sounds
from cti.recordings.sealing import KeyRing
from cti.recordings.shelf import Shelf
from cti.recordings.sound import make_wave, measure, peaks_of, rate_of
from cti.services.recordings import NoRecording, RecordingAway

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    keys = KeyRing(tmp_path / "keys.json")
    keys.open(NOW)
    return keys


def shelf(folder: Path, ring: KeyRing, *, sealed: bool, bucket: StoredSounds | None = None) -> Shelf:
    folder.mkdir(exist_ok=True)
    local = folder_of_sounds(folder)
    return Shelf({"talk": folder}, keys=ring, sealing=sealed, bucket=bucket, local={"talk": local})


def test_samples_become_a_wave_file(tmp_path: Path) -> None:
    live = LiveSound(caller=tmp_path / "c.caller.sln16", others=tmp_path / "c.others.sln16", rate=16_000)
    said, heard = random.Random(1).randbytes(32_000 * 3 + 1), random.Random(2).randbytes(32_000 * 2)
    live.caller.write_bytes(said)  # a torn last sample
    live.others.write_bytes(heard)
    made = make_wave(live, tmp_path / "c.wav", fills=[(1.0, 0.5)])
    assert made == measure(tmp_path / "c.wav")
    assert (made.seconds, made.channels, made.bytes) == (3.5, 2, 224_044)
    content = (tmp_path / "c.wav").read_bytes()
    assert rate_of(content[:44]) == 16_000
    left = b"".join(content[at : at + 2] for at in range(44, len(content), 4))
    right = b"".join(content[at : at + 2] for at in range(46, len(content), 4))
    assert left == said[:32_000] + bytes(16_000) + said[32_000:96_000]
    assert right == heard[:32_000] + bytes(16_000) + heard[32_000:] + bytes(32_000)
    assert (live.seconds(), live.lost()) == (2.0, 1.0)
    assert (tmp_path / "c.wav").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "n.wav").write_bytes(b"no sound at all")
    with pytest.raises(ValueError, match="no sound"):
        measure(tmp_path / "n.wav")


def test_a_waveform_has_both_channels() -> None:
    content = b"".join(
        (loud).to_bytes(2, "little", signed=True) + (-32768).to_bytes(2, "little", signed=True)
        for loud in (0, 1280, -2560, 0)
    )
    peaks = peaks_of(content, 2)
    assert peaks.channels == ((0, 10, 20, 0), (255, 255, 255, 255))
    assert peaks_of(b"", 2).channels == ((), ())
    assert max(len(one) for one in peaks_of(bytes(4 * 100_000), 2).channels) <= 1200


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_any_stretch_of_a_sealed_file(tmp_path: Path, ring: KeyRing, size: int) -> None:
    plain, sealed, rng = tmp_path / "p", tmp_path / "s", random.Random(size)
    content = rng.randbytes(size)
    plain.write_bytes(content)
    assert sealing.seal(plain, sealed, ring) == "k1"
    held = sealed.read_bytes()
    assert content[:64] not in held or size < 4
    head = sealing.head_of(held)
    stretches = [
        (0, size),
        *(
            (a, min(size, a + rng.randrange(1, 90_000)))
            for a in (rng.randrange(size) for _ in range(20 if size else 0))
        ),
    ]
    for start, stop in stretches:
        begin, end, first = sealing.span_of(head, start, stop)
        assert sealing.unseal(head, held[begin:end], first, start, stop, ring) == content[start:stop]


def test_a_sealed_file_that_was_changed_is_not_played(tmp_path: Path, ring: KeyRing) -> None:
    plain, sealed = tmp_path / "p", tmp_path / "s"
    plain.write_bytes(random.Random(5).randbytes(150_000))
    sealing.seal(plain, sealed, ring)
    held = sealed.read_bytes()
    block = sealing.BLOCK + sealing.TAG
    first, second = held[sealing.HEAD : sealing.HEAD + block], held[sealing.HEAD + block : sealing.HEAD + 2 * block]
    for wrong in (
        held[:-1] + bytes([held[-1] ^ 1]),
        held[: sealing.HEAD] + second + first + held[sealing.HEAD + 2 * block :],
        sealing.SealHead(key_id="k1", salt=held[24:32], size=2 * sealing.BLOCK, block=sealing.BLOCK).pack()
        + held[sealing.HEAD : sealing.HEAD + 2 * block],
    ):
        head = sealing.head_of(wrong)
        begin, end, number = sealing.span_of(head, 0, head.size)
        with pytest.raises(NoRecording):
            sealing.unseal(head, wrong[begin:end], number, 0, head.size, ring)


def test_keys_are_private_change_with_time_and_old_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "keys.json"
    ring = KeyRing(path)
    ring.open(NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    plain, sealed = tmp_path / "p", tmp_path / "s"
    plain.write_bytes(b"said")
    sealing.seal(plain, sealed, ring)
    later = KeyRing(path)
    later.open(NOW + timedelta(days=31), days=30)
    assert later.current == "k2"
    head = sealing.head_of(sealed.read_bytes())
    begin, end, first = sealing.span_of(head, 0, 4)
    assert sealing.unseal(head, sealed.read_bytes()[begin:end], first, 0, 4, later) == b"said"
    with pytest.raises(NoRecording, match="k9"):
        later.key("k9")
    path.write_text("{}")
    with pytest.raises(ConfigError, match="keys of recordings"):
        KeyRing(path).open(NOW)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("far", [False, True])
async def test_a_file_moves_and_is_found_wherever_it_lies(
    tmp_path: Path, ring: KeyRing, sealed: bool, far: bool
) -> None:
    bucket = StoredSounds(MemoryStore(), "s3") if far else None
    place = shelf(tmp_path / "r", ring, sealed=sealed, bucket=bucket)
    content = os.urandom(300_000)
    (tmp_path / "r" / "c.1.wav").write_bytes(content)
    moved = await place.keep("talk", "c.1.wav")
    assert (moved is not None) is (sealed or far)
    if moved is not None:
        assert (moved.place, moved.key_id) == ("s3" if far else "local", "k1" if sealed else "")
        assert not (tmp_path / "r" / "c.1.wav").exists()
        assert await place.keep("talk", "c.1.wav") is None  # done again, nothing happens
    if far:
        assert not [file for file in (tmp_path / "r").iterdir() if file.is_file()]
    sound = await place.open("talk", "c.1.wav")
    assert (sound.size, await sound.read(0, sound.size), await sound.read(131_000, 131_100)) == (
        300_000,
        content,
        content[131_000:131_100],
    )
    await place.keep_beside("talk", "c.1.wav", b"peaks")
    assert await place.beside("talk", "c.1.wav") == b"peaks"
    assert await place.delete("talk", "c.1.wav")
    assert not await place.delete("talk", "c.1.wav")
    assert await place.beside("talk", "c.1.wav") is None
    with pytest.raises(NoRecording):
        await place.open("talk", "c.1.wav")


class _Damaging(StoredSounds):
    async def read(self, name: str, start: int, stop: int) -> bytes:
        found = await super().read(name, start, stop)
        return found[:-1] + bytes([found[-1] ^ 1]) if found else found


class _Away(StoredSounds):
    async def put(self, name: str, file: Path) -> None:
        raise RecordingAway("the store does not answer")


@pytest.mark.parametrize("kind", [_Damaging, _Away])
async def test_the_file_here_stays_until_the_other_was_compared(
    tmp_path: Path, ring: KeyRing, kind: type[StoredSounds]
) -> None:
    place = shelf(tmp_path / "r", ring, sealed=True, bucket=kind(MemoryStore(), "s3"))
    (tmp_path / "r" / "c.wav").write_bytes(b"s" * 1000)
    with pytest.raises((NoRecording, RecordingAway)):
        await place.keep("talk", "c.wav")
    assert (tmp_path / "r" / "c.wav").read_bytes() == b"s" * 1000
    assert not list((tmp_path / "r").glob(".*"))


@pytest.mark.parametrize("name", ["../c.wav", "a/b.wav", "", ".hidden", "x\0.wav", "/etc/passwd"])
async def test_names_that_lead_elsewhere(tmp_path: Path, ring: KeyRing, name: str) -> None:
    place = shelf(tmp_path / "r", ring, sealed=False)
    with pytest.raises(NoRecording):
        await place.open("talk", name)
    with pytest.raises(NoRecording):
        await place.delete("talk", name)
