"""What is said of a recording after its call, and what a restart does not forget; pauses by hand and by time."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cti.errors import RemoteError
from cti.ids import AgentId, CallId, ChannelName, FlowName, NodeName
from cti.model import facts as f
from cti.model import recording_facts as r
from cti.model.fact import Fact
from cti.model.recording_commands import BeginRecording, EndRecording, PauseRecording
from cti.recordings import watch as watching
from cti.recordings.gaps import Filling, Pause, filling, placed
from cti.recordings.live import live_sound
from cti.recordings.places import folder_of_sounds
from cti.recordings.sealing import KeyRing
from cti.recordings.shelf import Shelf
from cti.recordings.talks import TalkClock, story_of
from cti.recordings.watch import RecordingWatch, call_of
from cti.services.floor import Refused
from cti.services.recording_control import RecordingDesk
from cti.services.switchboard import Switchboard
from tests.support.fake_floor import StandingClock, demo_centre

T0 = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CALL, ADA = CallId("pbx1-1.1"), AgentId("1001")


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.news = asyncio.Event()

    def append(self, facts: Sequence[Fact]) -> asyncio.Future[None]:
        self.facts += facts
        self.news.set()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def written(self) -> bool:
        return True

    async def next(self) -> Any:
        async with asyncio.timeout(60):
            await self.news.wait()
        return self.facts[-1]


def talk(seconds: float, *, pause: tuple[float, float] | None = None, started: bool = True) -> list[Fact]:
    """A call that is answered at once and talks so long."""
    told: list[Fact] = [
        f.CallStarted(
            at=T0,
            call_id=CALL,
            node=NodeName("pbx1"),
            caller_number=None,
            did="5000",
            channel=ChannelName("PJSIP/trunk-1"),
        ),
    ]
    if started:
        told.append(f.RecordingStarted(at=T0, call_id=CALL, path=f"{CALL}.wav"))
    told.append(f.CallAnswered(at=T0, call_id=CALL, agent_id=ADA))
    if pause is not None:
        told.append(r.RecordingPaused(at=after(pause[0]), call_id=CALL, by="1001"))
        told.append(r.RecordingResumed(at=after(pause[1]), call_id=CALL, by="1001"))
    told.append(f.TalkEnded(at=after(seconds), call_id=CALL, agent_id=ADA))
    told.append(f.CallEnded(at=after(seconds), call_id=CALL, hangup_by=f.HangupBy.CALLER, cause=16))
    return told


class Bench:
    def __init__(self, folder: Path, *, sealing: bool = False) -> None:
        self.live = folder / "live"
        self.live.mkdir(parents=True)
        ring = KeyRing(folder / "k")
        ring.open(T0)
        self.shelf = Shelf({"talk": folder, "message": folder, "voicemail": folder}, keys=ring, sealing=sealing,
                           bucket=None, local=dict.fromkeys(("talk", "message", "voicemail"), folder_of_sounds(folder)))  # fmt: skip
        self.journal = Kept()
        self.told: list[Fact] = []
        self.watch = RecordingWatch(self.shelf, self.journal, StandingClock(T0), told=self.told.append)

    def sound(self, seconds: float) -> None:
        for side in ("caller", "others"):
            (self.live / f"{CALL}.{side}.sln16").write_bytes(b"\1\2" * int(16_000 * seconds))

    async def verdict(self, facts: Sequence[Fact], *, recovered: bool = False) -> Any:
        task = asyncio.create_task(self.watch.run())
        try:
            if recovered:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self.watch.recover(facts)
                task = asyncio.create_task(self.watch.run())
            else:
                await asyncio.sleep(0)
                self.watch.observe(facts, T0)
            return await self.journal.next()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SETTLE", 0.05)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "recordings")


@pytest.mark.parametrize("recovered", [False, True])
async def test_a_whole_recording_is_kept_and_its_raw_file_goes(bench: Bench, tmp_path: Path, recovered: bool) -> None:
    bench.sound(9.8)
    kept = await bench.verdict(talk(10), recovered=recovered)
    assert isinstance(kept, r.RecordingKept)
    assert (kept.call_id, kept.path, kept.kind, kept.seconds, kept.channels) == (CALL, f"{CALL}.wav", "talk", 9.8, 2)
    assert not list(bench.live.iterdir())
    assert (tmp_path / "recordings" / kept.path).stat().st_size == kept.bytes


@pytest.mark.parametrize(("there", "trouble"), [(None, "missing"), (0.0, "empty"), (5.0, "short")])
async def test_what_is_not_whole_is_flagged(bench: Bench, there: float | None, trouble: str) -> None:
    if there is not None:
        bench.sound(there)
    flagged = await bench.verdict(talk(10))
    assert isinstance(flagged, r.RecordingFlagged)
    assert (flagged.trouble, flagged.expected) == (trouble, 10.0)
    assert not any(isinstance(fact, r.RecordingKept) for fact in bench.journal.facts)


async def test_a_file_that_was_cut_while_it_was_written_has_a_hole(bench: Bench) -> None:
    bench.sound(10)
    with (bench.live / f"{CALL}.others.sln16").open("wb") as file:
        file.seek(32_000 * 8)
        file.write(b"\1\2" * 32_000)
    flagged = await bench.verdict(talk(10))
    assert isinstance(flagged, r.RecordingFlagged)
    assert flagged.trouble == "short"


@pytest.mark.parametrize("looked", [True, False])
async def test_a_pause_is_as_long_in_the_file_as_on_the_clock(bench: Bench, tmp_path: Path, looked: bool) -> None:
    """Of five seconds nothing was sent for three; before the pause half a second is missing, too."""
    voice, silence = b"\1\2" * 8000, bytes(16_000)
    for side in ("caller", "others"):
        (bench.live / f"{CALL}.{side}.sln").write_bytes(voice[:8000] + voice[:16_000] + 2 * silence + 3 * voice)
    told = talk(10, pause=(2, 7))
    if looked:  # what the files had, a second behind
        told = [
            replace(fact, written=0.5 if isinstance(fact, r.RecordingPaused) else 2.5)
            if isinstance(fact, r.RecordingPaused | r.RecordingResumed)
            else fact
            for fact in told
        ]
    kept = await bench.verdict(told)
    assert isinstance(kept, r.RecordingKept)
    assert (kept.seconds, kept.silence, kept.gaps) == (9.5, 5.0, ((1.5, 6.5),))
    with wave.open(str(tmp_path / "recordings" / f"{CALL}.wav")) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (8000, 2)
        content = sound.readframes(sound.getnframes())
    assert content == voice[:8000] * 2 + 2 * voice[:16_000] + bytes(5 * 32_000) + 3 * 2 * voice
    marks, pauses = story_of([*told, kept], {"1001": "Ada"})
    assert pauses == ((1.5, 6.5),)
    assert [(mark.kind, mark.seconds, mark.text) for mark in marks] == [
        ("answered", 0.0, "Ada"),
        ("paused", 1.5, ""),
        ("resumed", 6.5, ""),
    ]


def test_what_a_pause_lacks_is_put_in_where_its_silence_is() -> None:
    twice = (Pause(at=10, seconds=20, before=9.2, after=21.0), Pause(at=40, seconds=5, before=30.4, after=30.4))
    found = filling(((3.0, 3.4), (10.1, 22.1), (50.0, 51.0)), twice, 60.0)
    assert found.fills == ((22.1, 8.0), (30.4, 5.0))  # the second wrote nothing at all
    assert found.gaps == ((10.1, 30.1), (38.4, 43.4))
    assert filling(((9.0, 21.0),), (Pause(at=10, seconds=10),), 30.0).fills == ()  # silence enough
    assert filling((), (), 1.0) == Filling()
    anchors = [(0.0, 0.0), (10.0, 8.0), (20.0, 18.0), (30.0, 30.0)]
    assert [placed(second, anchors) for second in (5.0, 15.0, 25.0, 31.0)] == [4.0, 13.0, 24.0, 31.0]


async def test_files_of_a_call_nobody_knows_are_finished_when_nobody_writes_them(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "GRACE", -1.0)
    bench.sound(3)
    files = list(bench.live.iterdir())
    for file in files:
        os.utime(file, (1, 1))
    with files[0].open("ab"):  # somebody still has it open
        task = asyncio.create_task(bench.watch.run())
        await asyncio.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert bench.journal.facts == []
    bench.watch = RecordingWatch(bench.shelf, bench.journal, StandingClock(T0))
    kept = await bench.verdict([])
    assert isinstance(kept, r.RecordingKept)
    assert (kept.call_id, kept.seconds, list(bench.live.iterdir())) == (CALL, 3.0, [])
    # The ledger tells of the call later: what was made stays as it is.
    size = (tmp_path / "recordings" / kept.path).stat().st_size
    task = asyncio.create_task(bench.watch.run())
    await asyncio.sleep(0)
    bench.watch.observe(talk(3), T0)
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert bench.journal.facts == [kept]
    assert (tmp_path / "recordings" / kept.path).stat().st_size == size


async def test_files_of_a_time_without_a_bridge_wait_for_the_ledger(bench: Bench) -> None:
    bench.sound(10)
    for file in bench.live.iterdir():
        os.utime(file, (1, 1))
    task = asyncio.create_task(bench.watch.run())
    await asyncio.sleep(0.3)
    assert bench.journal.facts == []
    bench.watch.observe(talk(10), T0)
    kept = await bench.journal.next()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (type(kept), kept.seconds) == (r.RecordingKept, 10.0)


async def test_where_recordings_are_sealed_plain_sound_is_written_over_before_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "recordings", sealing=True)
    bench.sound(10)
    left: dict[str, bytes] = {}
    unlink = Path.unlink

    def seen(path: Path, missing_ok: bool = False) -> None:
        if path.suffix in (".sln16", ".wav"):
            left[path.name] = path.read_bytes()
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", seen)
    task = asyncio.create_task(bench.watch.run())
    await asyncio.sleep(0)
    bench.watch.observe(talk(10), T0)
    async with asyncio.timeout(60):
        while not isinstance(await bench.journal.next(), r.RecordingMoved):
            bench.journal.news.clear()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert sorted(left) == [f"{CALL}.caller.sln16", f"{CALL}.others.sln16", f"{CALL}.wav"]
    assert all(content and not content.strip(b"\0") for content in left.values())


async def test_nothing_is_moved_twice_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path / "recordings", sealing=True)
    old = tmp_path / "recordings" / f"{CALL}.wav"
    old.write_bytes(b"sound")
    os.utime(old, (1, 1))
    monkeypatch.setattr(watching, "AGAIN", 0.0)
    monkeypatch.setitem(bench.shelf.folders, "voicemail", tmp_path / "voicemail")
    moving, tried, answers = 0, 0, False

    async def keep(kind: str, name: str) -> None:
        nonlocal moving, tried
        moving, tried = moving + 1, tried + 1
        assert moving == 1, "another one moves it"
        for _ in range(3):
            await asyncio.sleep(0)
        moving -= 1
        if not answers:
            raise RemoteError("the place does not answer")

    monkeypatch.setattr(bench.shelf, "keep", keep)
    bench.watch._started = True
    for _ in range(3):
        await bench.watch._sweep(strays=False)
    async with asyncio.timeout(60):
        for _ in range(100):
            await asyncio.sleep(0)
        assert tried > 3, "it does not give up"
        answers = True
        while bench.watch._work:
            await asyncio.gather(*bench.watch._work)
    before = tried
    await bench.watch._sweep(strays=False)
    await asyncio.gather(*bench.watch._work)
    assert tried == before + 1, "what is still there later is tried anew"


@pytest.mark.parametrize("missing", ["caller", "others"])
async def test_a_recording_with_a_pause_is_made_of_one_side_where_the_other_is_missing(
    bench: Bench, tmp_path: Path, missing: str
) -> None:
    bench.sound(6)
    (bench.live / f"{CALL}.{missing}.sln16").unlink()
    flagged = await bench.verdict(talk(10, pause=(4, 8)))
    assert isinstance(flagged, r.RecordingFlagged)
    assert flagged.trouble == "short"
    with wave.open(str(tmp_path / "recordings" / f"{CALL}.wav"), "rb") as sound:
        assert sound.getnframes() == 16_000 * 10
        assert any(sound.readframes(16_000 * 4)), "before the pause there is sound"


async def test_what_was_flagged_while_people_talked_is_never_called_whole_not_even_after_a_restart(
    bench: Bench,
) -> None:
    """The disk was full for a while, less than what a recording may lack; then the bridge was killed."""
    bench.sound(9.9)
    *begun, ended = talk(10)
    flagged = r.RecordingFlagged(at=after(8), call_id=CALL, path=f"{CALL}.wav", trouble="disk_full")
    again = await bench.verdict([*begun, flagged, ended], recovered=True)
    assert isinstance(again, r.RecordingFlagged)
    assert (again.trouble, again.seconds) == ("disk_full", 9.9)
    assert bench.told == []  # it was counted when it was flagged
    assert not list(bench.live.iterdir())


async def test_a_file_that_goes_while_people_talk_is_flagged_then(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK", 0.02)
    bench.sound(3)
    task = asyncio.create_task(bench.watch.run())
    await asyncio.sleep(0)
    bench.watch.observe(talk(10)[:3], T0)
    await asyncio.sleep(0.2)
    assert bench.journal.facts == []
    for file in bench.live.iterdir():
        file.unlink()
    flagged = await bench.journal.next()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (flagged.trouble, flagged.seconds) == ("missing", 0.0)


async def test_a_judged_recording_is_left_in_peace_after_a_restart(bench: Bench) -> None:
    bench.watch.recover(
        [*talk(10), r.RecordingFlagged(at=after(11), call_id=CALL, path=f"{CALL}.wav", trouble="missing")]
    )
    task = asyncio.create_task(bench.watch.run())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert bench.journal.facts == []


def test_what_is_held_by_the_server_is_not_in_the_sound() -> None:
    clock = TalkClock()
    for fact in (
        *talk(30)[:3],
        f.CallHeld(at=after(5), call_id=CALL, agent_id=ADA, server=True),
        f.CallRetrieved(at=after(15), call_id=CALL, agent_id=ADA, server=True),
        f.TalkEnded(at=after(20), call_id=CALL, agent_id=ADA),
    ):
        clock.take(fact)
    assert (clock.seconds, clock.running, clock.agents) == (10.0, False, ["1001"])


def test_whose_a_file_is() -> None:
    assert call_of("message", "pbx1-1.1-complaint-2.wav") == (CALL, "message")
    assert call_of("message", "pbx1-1.1.wav") == (CALL, "talk")
    assert call_of("voicemail", "pbx1-1.1.wav") == (CALL, "voicemail")


# -- live calls --------------------------------------------------------------------------------------------------------


class Obeying:
    """A telephone system that does, or refuses, what it is told."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.refuses = False

    def connected(self) -> bool:
        return True

    async def perform(self, command: Any) -> None:
        if self.refuses:
            raise RemoteError("no link")
        self.done.append(command)


class Live:
    def __init__(self, folder: Path, limit: float | None = 60) -> None:
        self.clock = StandingClock(T0)
        self.board = Switchboard(demo_centre(), node=NodeName("pbx1"), now=T0)
        self.telephony, self.journal = Obeying(), Kept()
        self.desk = RecordingDesk(
            self.board, self.telephony, self.journal, self.clock, live=lambda call_id: live_sound(folder, call_id),
            limit=timedelta(seconds=limit) if limit else None,
        )  # fmt: skip
        self.board.record(talk(1)[0])
        self.desk.observe([f.RecordingStarted(at=T0, call_id=CALL, path=f"{CALL}.wav")], T0)


async def test_a_pause_is_claimed_only_when_it_is_one(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.telephony.refuses = True
    with pytest.raises(RemoteError):
        await live.desk.act(CALL, "pause", by="1001")
    assert (live.desk.now(CALL).paused, live.journal.facts) == (False, [])
    live.telephony.refuses = False
    now = await live.desk.act(CALL, "pause", by="1001")
    assert (now.paused, now.paused_until) == (True, after(60))
    await live.desk.act(CALL, "pause", by="1001")  # is so already
    assert live.telephony.done == [PauseRecording(call_id=CALL, channel=ChannelName("PJSIP/trunk-1"), on=True)]
    assert [type(fact) for fact in live.journal.facts] == [r.RecordingPaused]


async def test_no_pause_is_forgotten(tmp_path: Path) -> None:
    live = Live(tmp_path)
    await live.desk.act(CALL, "pause", by="1001")
    await live.desk.tick(after(59))
    assert live.desk.now(CALL).paused
    await live.desk.tick(after(60))
    assert not live.desk.now(CALL).paused
    assert live.journal.facts[-1] == r.RecordingResumed(at=after(60), call_id=CALL, by="", why="limit", written=0.0)


async def test_a_restart_never_ends_a_pause_early(tmp_path: Path) -> None:
    live = Live(tmp_path)
    live.clock.move(timedelta(seconds=500))
    live.desk.recover([r.RecordingPaused(at=after(10), call_id=CALL, by="1001")])
    now = live.desk.now(CALL)
    assert (now.paused, now.paused_until) == (True, after(560))
    await live.desk.tick(after(501))
    assert live.desk.now(CALL).paused
    endless = Live(tmp_path, limit=None)
    endless.desk.recover([r.RecordingPaused(at=after(10), call_id=CALL, by="1001")])
    await endless.desk.tick(after(100_000))
    assert endless.desk.now(CALL).paused


async def test_what_may_not_be_done_is_refused(tmp_path: Path) -> None:
    live = Live(tmp_path)
    with pytest.raises(Refused, match="no such live call"):
        live.desk.now(CallId("pbx1-9.9"))
    await live.desk.act(CALL, "stop", by="1001")
    assert isinstance(live.telephony.done[-1], EndRecording)
    with pytest.raises(Refused, match="not being recorded"):
        await live.desk.act(CALL, "pause", by="1001")
    with pytest.raises(Refused, match="by hand"):
        await live.desk.act(CALL, "start", by="1001")  # a call of no queue: its rule is never
    live.board.record(f.DataAttached(at=T0, call_id=CALL, flow=FlowName("main"), data=(("recording_consent", "no"),)))
    with pytest.raises(Refused, match="does not want"):
        await live.desk.act(CALL, "start", by="1001")
    assert not any(isinstance(command, BeginRecording) for command in live.telephony.done)
