"""Recordings in a bucket, over S3's real protocol: sealed, sent in parts, compared, read in stretches, deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from cti.recordings.places import PART, bucket_of_sounds, folder_of_sounds
from cti.recordings.sealing import KeyRing
from cti.recordings.shelf import Shelf
from cti.services.recordings import NoRecording, RecordingAway

pytestmark = [pytest.mark.real, pytest.mark.beside]


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ).create_bucket(Bucket="calls")
    try:
        yield url
    finally:
        server.stop()


def shelf(folder: Path, url: str, *, sealed: bool, bucket: str = "calls") -> Shelf:
    ring = KeyRing(folder / "keys.json")
    ring.open(datetime(2026, 3, 2, tzinfo=UTC))
    sounds = folder / "sounds"
    sounds.mkdir()
    far = bucket_of_sounds(
        bucket=bucket, endpoint=url, region="us-east-1", key_id="key", secret="secret", path_style=True, prefix="centre"
    )
    return Shelf({"talk": sounds}, keys=ring, sealing=sealed, bucket=far, local={"talk": folder_of_sounds(sounds)})


@pytest.mark.parametrize("sealed", [False, True])
async def test_there_and_back(store: str, tmp_path: Path, sealed: bool) -> None:
    place = shelf(tmp_path, store, sealed=sealed)
    content = os.urandom(PART + 300_000)  # goes in parts
    file = tmp_path / "sounds" / f"a1-1.{int(sealed)}.wav"
    file.write_bytes(content)
    moved = await place.keep("talk", file.name)
    assert moved is not None
    assert (moved.place, moved.key_id) == ("s3", "k1" if sealed else "")
    assert not file.exists()
    sound = await place.open("talk", file.name)
    assert sound.size == len(content)
    assert await sound.read(PART - 100, PART + 70_000) == content[PART - 100 : PART + 70_000]
    held = boto3.client(
        "s3", endpoint_url=store, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ).list_objects_v2(Bucket="calls")["Contents"]
    assert f"centre/talk/{file.name}{'.sealed' if sealed else ''}" in {one["Key"] for one in held}
    assert await place.delete("talk", file.name)
    with pytest.raises(NoRecording):
        await place.open("talk", file.name)


async def test_a_bucket_that_is_not_there_costs_no_recording(store: str, tmp_path: Path) -> None:
    place = shelf(tmp_path, store, sealed=True, bucket="nowhere")
    file = tmp_path / "sounds" / "a1-2.wav"
    file.write_bytes(b"said")
    with pytest.raises((RecordingAway, NoRecording)):
        await place.keep("talk", file.name)
    assert file.read_bytes() == b"said"
