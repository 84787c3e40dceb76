"""Recordings in a bucket, over S3's real protocol: sealed, sent in parts, compared, read in stretches, deleted."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from cti.cli import app
from cti.journal.writer import JournalWriter
from cti.model.recording_facts import RecordingDeleted
from cti.model.supervision_facts import Acted
from cti.places import Places
from cti.recording_rooms import open_shelf
from cti.recordings.finding import StoredRecordings
from cti.recordings.keeping import KeepSounds, RecordingKeeping
from cti.recordings.places import PART, bucket_of_sounds, folder_of_sounds
from cti.recordings.sealing import KeyRing
from cti.recordings.shelf import Shelf
from cti.services.recordings import NoRecording, RecordingAway, Wanted
from cti.settings import load_settings
from cti.store.pool import open_pool
from tests.integration.test_recordings_stored import NOW, Stage
from tests.support.fake_floor import StandingClock
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

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


async def test_a_forgotten_customers_sealed_talk_goes_from_the_bucket_and_so_does_what_is_old(
    store: str, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By command, with no bridge: the deletion and its line in the audit log are in the journal, for the next bridge."""
    data = tmp_path / "data"
    (data / "secrets").mkdir(parents=True)
    (data / "secret").write_text("secret")
    for key, value in {
        "CTI_DATABASE__URL": migrated,
        "CTI_RECORDINGS__SEAL": "true",
        "CTI_RECORDINGS__S3_BUCKET": "calls",
        "CTI_RECORDINGS__S3_ENDPOINT": store,
        "CTI_RECORDINGS__S3_KEY_ID": "key",
        "CTI_RECORDINGS__S3_SECRET_FILE": str(data / "secret"),
        "CTI_RECORDINGS__S3_PREFIX": "forgotten",
        "CTI_PORTS__OFFSET": "27000",
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("structlog.configure", lambda **how: None)  # a test process has more than one command in it
    settings = load_settings(overrides={"data": str(data)})
    bucket = boto3.client(
        "s3", endpoint_url=store, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )

    def held() -> list[str]:
        return [one["Key"] for one in bucket.list_objects_v2(Bucket="calls", Prefix="forgotten").get("Contents", ())]

    pool = await open_pool(migrated)
    try:
        stage = Stage(pool, data / "recordings")
        stage.shelf = open_shelf(settings, Places(settings), NOW)
        hers, others = await stage.talk("a1-7.1", NOW, "support"), await stage.talk("a1-7.2", NOW, "support")
        old = await stage.talk("a1-7.3", NOW - timedelta(days=400), "sales")
        customer = await pool.fetchval("INSERT INTO crm.customers (name) VALUES ('Ada King') RETURNING customer_id")
        await pool.execute("UPDATE cti.calls SET customer_id = $1 WHERE call_id = $2", customer, hers)
        assert held() == [f"forgotten/talk/{call}.wav.sealed" for call in (hers, others, old)]
        found = StoredRecordings(pool, stage.shelf)
        await found.peaks((await found.find(Wanted(call_id=hers)))[0])  # its waveform lies there, too
        assert len(held()) == 4
        command = ["customers", "forget", str(customer), "--yes", "--by", "boss", "--data", str(data)]
        done = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert done.exit_code == 0, done.output
        assert "1 recordings" in done.stdout
        assert held() == [f"forgotten/talk/{call}.wav.sealed" for call in (others, old)]
        assert await pool.fetchval("SELECT count(*) FROM crm.customers WHERE name <> ''") == 0
        journal = JournalWriter(data / "journal")
        facts = journal.recover()
        await journal.close()
        (gone,) = [fact for fact in facts if isinstance(fact, RecordingDeleted)]
        (act,) = [fact for fact in facts if isinstance(fact, Acted)]
        assert (gone.call_id, gone.why, gone.by) == (hers, "privacy", "boss")
        assert (act.act, act.subject, act.by) == ("recording_delete", f"recording:{hers}", "boss")
        # By age: the same way, out of the same bucket.
        keep = KeepSounds(talks=timedelta(days=365))
        keeping = RecordingKeeping(pool, stage.shelf, stage, stage, StandingClock(NOW), keep=lambda: keep)  # type: ignore[arg-type]
        assert await keeping.erase_old() == 1
        assert held() == [f"forgotten/talk/{others}.wav.sealed"]
        assert stage.acts == [("recording_delete", f"recording:{old}")]
        # A bucket that is away: nobody is forgotten, and the answer says so.
        second = await pool.fetchval("INSERT INTO crm.customers (name) VALUES ('Bo') RETURNING customer_id")
        await pool.execute("UPDATE cti.calls SET customer_id = $1 WHERE call_id = $2", second, others)
        monkeypatch.setenv("CTI_RECORDINGS__S3_BUCKET", "nowhere")
        command[2] = str(second)
        done = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert done.exit_code != 0
        assert await pool.fetchval("SELECT name FROM crm.customers WHERE customer_id = $1", second) == "Bo"
    finally:
        await pool.close()
