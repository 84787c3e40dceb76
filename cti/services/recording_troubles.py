"""What is wrong with recordings, as far as somebody should look at it: files that are short or missing, a place that is away."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cti.model.alert_facts import AlertAcknowledged
from cti.model.alerts import Figure
from cti.model.fact import Fact
from cti.model.recording_facts import RecordingFlagged
from cti.services.recordings import NoRecording, RecordingAway, SoundStore

REMEMBERED = timedelta(days=1)
"""A recording that was flagged longer ago is no news, whether or not somebody has seen to it."""
STALE = timedelta(seconds=100)
"""A place that has not answered is tried again every half minute as long as files wait for it; when it was not asked for so long,
nobody knows."""


class RecordingTroubles:
    """Filled by facts (flagged files, and that somebody has seen to them) and by those who use the place."""

    def __init__(self) -> None:
        self._flagged: deque[datetime] = deque()
        self._away_since: datetime | None = None
        self._away_last: datetime | None = None

    def learn(self, fact: Fact) -> None:
        """A fact happened, or is read back."""
        if isinstance(fact, RecordingFlagged):
            self._flagged.append(fact.at)
        elif isinstance(fact, AlertAcknowledged) and fact.figure is Figure.RECORDINGS_FLAGGED:
            self._flagged.clear()

    def place(self, now: datetime, *, away: bool) -> None:
        """The place where recordings are kept was asked for something: whether it did not answer."""
        if away:
            self._away_since = self._away_since if self.away(now) is not None else now
            self._away_last = now
        else:
            self._away_since = self._away_last = None

    def flagged(self, now: datetime) -> float:
        """Recordings flagged lately that nobody has seen to."""
        while self._flagged and self._flagged[0] + REMEMBERED <= now:
            self._flagged.popleft()
        return float(len(self._flagged))

    def away(self, now: datetime) -> float | None:
        """Seconds for which the place has been away; None: it is not, as far as anybody knows."""
        if self._away_since is None or self._away_last is None or self._away_last + STALE <= now:
            return None
        return max(0.0, (now - self._away_since).total_seconds())

    def any(self) -> bool:
        """Whether there may be anything to look at."""
        return bool(self._flagged) or self._away_since is not None


class ToldStore:
    """A `SoundStore` whose answers, and silences, are told: `heard` is given whether it was away."""

    def __init__(self, store: SoundStore, heard: Callable[[bool], None]) -> None:
        self._store = store
        self._heard = heard

    @property
    def place(self) -> str:
        """See `SoundStore.place`."""
        return self._store.place

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        try:
            yield
        except RecordingAway:
            self._heard(True)
            raise
        except NoRecording:
            self._heard(False)  # it has answered
            raise
        self._heard(False)

    async def put(self, name: str, file: Path) -> None:
        """See `SoundStore.put`."""
        with self._listening():
            await self._store.put(name, file)

    async def size(self, name: str) -> int | None:
        """See `SoundStore.size`."""
        with self._listening():
            return await self._store.size(name)

    async def read(self, name: str, start: int, stop: int) -> bytes:
        """See `SoundStore.read`."""
        with self._listening():
            return await self._store.read(name, start, stop)

    async def delete(self, name: str) -> bool:
        """See `SoundStore.delete`."""
        with self._listening():
            return await self._store.delete(name)
