"""Recordings in the database: rows follow facts, who may find them, and how they go: by age, by queue, with a customer."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import orjson
import pytest

from cti.ids import CallId, QueueName
from cti.journal.codec import encode
from cti.model import facts as f
from cti.model import recording_facts as r
from cti.model.fact import Fact
from cti.recordings.finding import StoredRecordings
from cti.recordings.keeping import KeepSounds, RecordingKeeping
from cti.recordings.live import live_sound
from cti.recordings.places import folder_of_sounds
from cti.recordings.sealing import KeyRing
from cti.recordings.shelf import Shelf
from cti.recordings.sound import make_wave
from cti.services.recordings import NoRecording, Wanted
from cti.store.pool import open_pool
from tests.support.fake_floor import StandingClock
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Stage:
    """A database, a folder of sounds, and what was written down."""

    def __init__(self, pool: asyncpg.Pool, folder: Path) -> None:
        self.pool, self.folder, self.count = pool, folder, 0
        self.acts: list[tuple[str, str]] = []
        ring = KeyRing(folder / "keys.json")
        ring.open(NOW)
        local = folder_of_sounds(folder)
        kinds = ("talk", "message", "voicemail")
        self.shelf = Shelf(
            dict.fromkeys(kinds, folder), keys=ring, sealing=True, bucket=None, local=dict.fromkeys(kinds, local)
        )
        self.found = StoredRecordings(pool, self.shelf, names=lambda: {"1001": "Ada"})

    async def append(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self.count += 1
            body = orjson.loads(encode(fact))
            call_id = fact.call_id if isinstance(fact, f.CallFact) else None
            await self.pool.execute(
                "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body) VALUES ('t', $1, $2, $3, $4, $5)",
                self.count, type(fact).__name__, call_id, fact.at, orjson.dumps(body).decode(),
            )  # fmt: skip

    def written(self) -> bool:
        return True

    async def acted(self, *, by: str, role: str, act: str, subject: str, queue: QueueName | None = None,
                    before: Mapping[str, str] | None = None, after: Mapping[str, str] | None = None, reason: str = "") -> None:  # fmt: skip
        self.acts.append((act, subject))

    async def talk(self, name: str, at: datetime, queue: str, agent: str = "1001") -> CallId:
        call_id = CallId(name)
        live = live_sound(self.folder / "live", call_id)
        live.caller.parent.mkdir(exist_ok=True)
        live.caller.write_bytes(b"\0\10" * 32_000)
        live.others.write_bytes(b"\0\20" * 32_000)
        made = make_wave(live, self.folder / f"{name}.wav")
        await self.shelf.discard(*live.files)
        await self.pool.execute(
            "INSERT INTO cti.calls (call_id, node, direction, started_at, answered_at, ended_at, did, queue, agent, outcome,"
            " talk_seconds, hold_seconds, wrap_seconds, hangup_by) VALUES ($1, 'a1', 'inbound', $2, $2, $3, '5000', $4, $5,"
            " 'answered', 2, 0, 0, 'caller')",
            call_id, at, at + timedelta(seconds=2), queue, agent,
        )  # fmt: skip
        await self.append([
            f.RecordingStarted(at=at, call_id=call_id, path=f"{name}.wav"),
            f.CallAnswered(at=at, call_id=call_id, agent_id=agent),  # type: ignore[arg-type]
            r.RecordingPaused(at=at + timedelta(seconds=1), call_id=call_id, by=agent),
            f.CallEnded(at=at + timedelta(seconds=2), call_id=call_id, hangup_by=f.HangupBy.CALLER, cause=16),
            r.RecordingKept(at=at + timedelta(seconds=3), call_id=call_id, path=f"{name}.wav", bytes=made.bytes,
                            seconds=made.seconds, sha256=made.sha256, channels=2, silence=1.0),
        ])  # fmt: skip
        moved = await self.shelf.keep("talk", f"{name}.wav")
        assert moved is not None
        await self.append(
            [
                r.RecordingMoved(
                    at=at + timedelta(seconds=4),
                    call_id=call_id,
                    path=f"{name}.wav",
                    place="local",
                    key_id=moved.key_id,
                )
            ]
        )
        return call_id


@pytest.fixture
async def stage(migrated: str, tmp_path: Path) -> AsyncIterator[Stage]:
    pool = await open_pool(migrated)
    try:
        yield Stage(pool, tmp_path)
    finally:
        await pool.close()


async def test_rows_follow_facts_and_can_be_made_anew(stage: Stage) -> None:
    call_id = await stage.talk("a1-1.1", NOW, "support")
    await stage.append(
        [
            f.MessageRecorded(
                at=NOW,
                call_id=call_id,
                kind="comment",
                path="a1-1.1-survey-1.wav",
                flow="survey",
                step="say",
                seconds=3,
            )
        ]
    )  # type: ignore[arg-type]
    (talk, message) = sorted(await stage.found.find(Wanted(call_id=call_id)), key=lambda row: row.kind, reverse=True)
    assert (talk.recording_id, talk.state, talk.seconds, talk.sealed, talk.queue, talk.agents) == (
        call_id,
        "kept",
        2.0,
        True,
        "support",
        ("1001",),
    )
    assert (message.recording_id, message.kind, message.state) == ("message-a1-1.1-survey-1", "message", "running")
    before = await stage.pool.fetch("SELECT * FROM cti.recordings ORDER BY recording_id")
    await stage.pool.execute("SELECT cti.rebuild_recordings()")
    assert await stage.pool.fetch("SELECT * FROM cti.recordings ORDER BY recording_id") == before
    story = await stage.found.one(call_id)
    assert story is not None
    assert [(mark.kind, mark.text) for mark in story.marks] == [("answered", "Ada"), ("paused", "")]
    assert story.pauses == ((1.0, 2.0),)
    peaks = await stage.found.peaks(story.row)
    assert peaks == await stage.found.peaks(story.row)
    assert (len(peaks.channels), peaks.channels[0][0], peaks.channels[1][0]) == (2, 16, 32)
    sound = await stage.found.sound(story.row)
    assert (await sound.read(0, 4), sound.size) == (b"RIFF", story.row.bytes)
    assert await stage.found.one("nobody") is None


async def test_only_what_is_asked_for_is_found_page_by_page(stage: Stage) -> None:
    calls = [
        await stage.talk(f"a1-1.{n}", NOW + timedelta(minutes=n), ("support", "sales")[n % 2], ("1001", "1002")[n // 3])
        for n in range(5)
    ]
    assert [row.call_id for row in await stage.found.find(Wanted())] == calls[::-1]
    assert [row.call_id for row in await stage.found.find(Wanted(queues=("sales",)))] == [calls[3], calls[1]]
    assert [row.call_id for row in await stage.found.find(Wanted(agent_id="1002"))] == [calls[4], calls[3]]
    first = await stage.found.find(Wanted(limit=2))
    assert [row.call_id for row in await stage.found.find(Wanted(limit=2, before=first[-1].recording_id))] == [
        calls[2],
        calls[1],
    ]
    assert await stage.found.find(Wanted(state="flagged")) == []


async def test_recordings_go_by_age_and_queue_and_with_a_customer(stage: Stage) -> None:
    old = NOW - timedelta(days=40)
    support, sales = await stage.talk("a1-2.1", old, "support"), await stage.talk("a1-2.2", old, "sales")
    young, forgotten = await stage.talk("a1-2.3", NOW, "sales"), await stage.talk("a1-2.4", NOW, "support")
    keep = KeepSounds(talks=timedelta(days=90), queues={"sales": timedelta(days=30)})
    keeping = RecordingKeeping(stage.pool, stage.shelf, stage, stage, StandingClock(NOW), keep=lambda: keep)  # type: ignore[arg-type]
    assert await keeping.erase_old() == 1
    assert await keeping.erase_old() == 0
    # What callers said to flows is another kind, kept for another time.
    (stage.folder / f"{support}-survey-1.wav").write_bytes(b"said")
    await stage.append([
        f.MessageRecorded(at=old, call_id=support, kind="comment", path=f"{support}-survey-1.wav", flow="survey", step="say", seconds=3),  # type: ignore[arg-type]
        r.RecordingKept(at=old, call_id=support, path=f"{support}-survey-1.wav", kind="message", bytes=4, seconds=3, sha256=""),
    ])  # fmt: skip
    assert await keeping.erase_old() == 0
    keep = replace(keep, messages=timedelta(days=30))
    assert await keeping.erase_old() == 1
    assert not (stage.folder / f"{support}-survey-1.wav").exists()
    assert await keeping.erase_calls([forgotten, "a1-9.9"], why="privacy", by="boss") == (forgotten,)
    states = {row.call_id: (row.state, row.deleted_why) for row in await stage.found.find(Wanted(kind="talk"))}
    assert states == {
        support: ("kept", ""),
        sales: ("deleted", "retention"),
        young: ("kept", ""),
        forgotten: ("deleted", "privacy"),
    }
    assert {file.name.split(".wav")[0] for file in stage.folder.glob("*.wav*")} == {support, young}
    gone_ids = (sales, f"message-{support}-survey-1", forgotten)
    assert stage.acts == [("recording_delete", f"recording:{one}") for one in gone_ids]
    (gone,) = [row for row in await stage.found.find(Wanted()) if row.call_id == sales]
    with pytest.raises(NoRecording):
        await stage.found.sound(gone)
