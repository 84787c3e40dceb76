"""Recordings put together: watched after each call, moved, found, heard, kept and deleted in time, and begun or paused while
people talk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from cti.clock import Clock
from cti.errors import ConfigError
from cti.ids import CallId
from cti.journal.writer import JournalWriter
from cti.metrics.registry import Metrics
from cti.model import recording_facts as r
from cti.model.fact import Fact
from cti.places import Places
from cti.recordings.finding import StoredRecordings
from cti.recordings.keeping import KeepSounds, RecordingKeeping
from cti.recordings.live import live_sound
from cti.recordings.places import StoredSounds, bucket_of_sounds, folder_of_sounds
from cti.recordings.sealing import KeyRing
from cti.recordings.shelf import Shelf
from cti.recordings.watch import RecordingWatch
from cti.services.acts import Acts, JournalActs
from cti.services.ports import Journal, Telephony
from cti.services.recording_control import RecordingDesk
from cti.services.recording_troubles import ToldStore
from cti.services.recordings import RecordingRooms
from cti.services.switchboard import Switchboard
from cti.settings import RecordingSettings, Settings

KEYS = "recording_keys.json"
"""In the folder of secrets."""


def open_shelf(
    settings: Settings, places: Places, now: datetime, *, heard: Callable[[bool], None] = lambda _away: None
) -> Shelf:
    """Where recordings lie, as the settings have it. `heard` is told whether the bucket was away, whenever it is asked.

    Raises `ConfigError`.
    """
    chosen = settings.recordings
    ring = KeyRing(places.secrets / KEYS)
    if chosen.seal or (places.secrets / KEYS).exists():
        ring.open(now, days=chosen.key_days if chosen.seal else 0)
    live = places.recordings / "live"
    live.mkdir(parents=True, exist_ok=True, mode=0o700)
    live.chmod(0o700)  # Asterisk may have made it
    bucket = _bucket(chosen)
    here, voicemail = folder_of_sounds(places.recordings), folder_of_sounds(places.voicemail)
    return Shelf(
        {"talk": places.recordings, "message": places.recordings, "voicemail": places.voicemail},
        keys=ring,
        sealing=chosen.seal,
        bucket=ToldStore(bucket, heard) if bucket is not None else None,
        local={"talk": here, "message": here, "voicemail": voicemail},
    )


def _bucket(chosen: RecordingSettings) -> StoredSounds | None:
    if not chosen.s3_bucket:
        return None
    secret = ""
    if chosen.s3_secret_file is not None:
        try:
            secret = chosen.s3_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{chosen.s3_secret_file} cannot be read: {error}", remedy="correct recordings.s3_secret_file"
            ) from error
    return bucket_of_sounds(
        bucket=chosen.s3_bucket,
        endpoint=chosen.s3_endpoint,
        region=chosen.s3_region,
        key_id=chosen.s3_key_id,
        secret=secret,
        path_style=chosen.s3_path_style,
        prefix=chosen.s3_prefix,
    )


class RecordingWork:
    """The rooms of recordings. `web` is for the API; `observe` hears the floor's facts; `eraser` forgets with a customer."""

    def __init__(
        self,
        settings: Settings,
        places: Places,
        *,
        pool: Any,  # asyncpg's
        board: Switchboard,
        telephony: Telephony,
        journal: Journal,
        acts: Acts,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._board, self._clock = board, clock
        shelf = open_shelf(settings, places, clock.now(), heard=self._place_heard)
        self._judged = metrics.recordings
        for found in ("kept", "missing", "empty", "short", "unreadable", "disk_full", "not_growing", "not_started"):
            self._judged.labels(found)  # there from the first scrape on, at 0
        self._watch = RecordingWatch(shelf, journal, clock, told=self._count)
        chosen = settings.recordings
        self._desk = RecordingDesk(
            board,
            telephony,
            journal,
            clock,
            live=lambda call_id: live_sound(places.recordings / "live", call_id),
            limit=timedelta(seconds=chosen.pause_seconds) if chosen.pause_seconds else None,
            told=self._watch.observe,
            missing=self._watch.missing,
        )
        self.eraser = _keeping(settings, pool, shelf, journal, acts, clock)

        def live(call_id: CallId) -> Sequence[Fact]:
            return tuple(board.history.get(call_id, ()))

        stored = StoredRecordings(
            pool, shelf, live=live, names=lambda: {name: one.name for name, one in board.centre.agents.items()}
        )
        self.web = RecordingRooms(recordings=stored, control=self._desk, own=chosen.agents_listen)

    def _count(self, fact: Fact) -> None:
        if isinstance(fact, r.RecordingKept):
            self._judged.labels("kept").inc()
        elif isinstance(fact, r.RecordingFlagged):
            self._judged.labels(fact.trouble).inc()
            # Written beside the floor's turns: whoever is to be alerted hears of it here.
            self._board.alarms.learn(fact)
            self._board.supervision.wake()

    def _place_heard(self, away: bool) -> None:
        known = self._board.alarms.recordings
        if away or known.any():
            known.place(self._clock.now(), away=away)
            self._board.supervision.wake()

    def recover(self, facts: Sequence[Fact]) -> None:
        """Before `run`: what the journal tells."""
        self._watch.recover(facts)
        self._desk.recover(facts)

    def observe(self, facts: Sequence[Fact], now: datetime) -> None:
        """These facts of the floor were recorded a moment ago."""
        self._watch.observe(facts, now)
        self._desk.observe(facts, now)

    async def run(self) -> None:
        """Watch, move, end pauses, delete what is old; for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch.run(), name="recordings are watched")
            tasks.create_task(self._desk.run(), name="pauses of recordings")
            tasks.create_task(self.eraser.daily(), name="retention of recordings")


@contextlib.asynccontextmanager
async def eraser_beside(settings: Settings, places: Places, pool: Any, clock: Clock) -> AsyncIterator[RecordingKeeping]:
    """The eraser of a centre whose bridge does not run: what it does is in the journal, for the next bridge to store. Raises
    `JournalError` when a bridge runs after all."""
    shelf = open_shelf(settings, places, clock.now())
    journal = await asyncio.to_thread(JournalWriter, places.journal)
    try:
        yield _keeping(settings, pool, shelf, journal, JournalActs(journal, clock), clock)
    finally:
        await journal.close()


def _keeping(
    settings: Settings, pool: Any, shelf: Shelf, journal: Journal, acts: Acts, clock: Clock
) -> RecordingKeeping:
    keep = KeepSounds(
        talks=_days(settings.retention.recording_days),
        messages=_days(settings.retention.message_days),
        queues={queue: _days(days) for queue, days in settings.recordings.queue_days.items()},
    )
    return RecordingKeeping(pool, shelf, journal, acts, clock, keep=lambda: keep)


def _days(days: int) -> timedelta | None:
    return timedelta(days=days) if days else None
