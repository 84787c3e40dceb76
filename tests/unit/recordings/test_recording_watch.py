"""What is said of a recording after its call, and what a restart does not forget; pauses by hand and by time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
        async with asyncio.timeout(20):
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
    def __init__(self, folder: Path) -> None:
        self.live = folder / "live"
        self.live.mkdir(parents=True)
        shelf = Shelf({"talk": folder, "message": folder, "voicemail": folder}, keys=KeyRing(folder / "k"), sealing=False,
                      bucket=None, local=dict.fromkeys(("talk", "message", "voicemail"), folder_of_sounds(folder)))  # fmt: skip
        self.journal = Kept()
        self.watch = RecordingWatch(shelf, self.journal, StandingClock(T0))

    def sound(self, seconds: float) -> None:
        (self.live / f"{CALL}.raw").write_bytes(b"\1\2\3\4" * int(8000 * seconds))

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
    with (bench.live / f"{CALL}.raw").open("wb") as file:
        file.seek(32_000 * 8)
        file.write(b"\1\2" * 32_000)
    flagged = await bench.verdict(talk(10))
    assert isinstance(flagged, r.RecordingFlagged)
    assert flagged.trouble == "short"


async def test_a_pause_need_not_be_in_the_file(bench: Bench) -> None:
    bench.sound(7)  # nothing was sent for three of the five seconds of the pause
    kept = await bench.verdict(talk(10, pause=(2, 7)))
    assert isinstance(kept, r.RecordingKept)
    assert kept.silence == pytest.approx(2)
    marks, pauses = story_of(talk(10, pause=(2, 7)), {"1001": "Ada"}, seconds=7)
    assert pauses == ((2.0, 4.0),)
    assert [(mark.kind, mark.seconds, mark.text) for mark in marks] == [
        ("answered", 0.0, "Ada"),
        ("paused", 2.0, ""),
        ("resumed", 4.0, ""),
    ]


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
            self.board, self.telephony, self.journal, self.clock, folder=folder,
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
    assert live.journal.facts[-1] == r.RecordingResumed(at=after(60), call_id=CALL, by="", why="limit")


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
