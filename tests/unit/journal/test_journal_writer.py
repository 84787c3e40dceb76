"""The journal's writer on real files: order, durability, crashes, a failing disk, retention."""

from __future__ import annotations

import asyncio
import errno
import random
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cti.ids import AgentId, CallId, NodeName, QueueName
from cti.journal.codec import Position
from cti.journal.errors import JournalError
from cti.journal.segments import TORN_GAP, Disk
from cti.journal.writer import JournalWriter
from cti.model.facts import (
    AgentChanged,
    AgentState,
    CallAnswered,
    CallEnded,
    CallQueued,
    CallStarted,
    Fact,
    HangupBy,
    WrapUpEnded,
)
from cti.model.supervision_facts import AgentReassigned, EmergencySet, QueueForced
from cti.services.supervision_state import Supervision

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def started(number: int, *, call: str | None = None) -> CallStarted:
    return CallStarted(
        at=T0 + timedelta(seconds=number),
        call_id=CallId(call or f"a1-{number}.1"),
        node=NodeName("a1"),
        did=str(number),
    )


def queued(number: int, call: str) -> CallQueued:
    return CallQueued(at=T0 + timedelta(seconds=number), call_id=CallId(call), queue=QueueName("support"))


def ended(number: int, call: str) -> CallEnded:
    return CallEnded(at=T0 + timedelta(seconds=number), call_id=CallId(call), hangup_by=HangupBy.CALLER)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the writer is a thread, not a task
            await asyncio.sleep(0.002)


class FailingDisk(Disk):
    """A disk that can be full, or fail its syncs."""

    def __init__(self) -> None:
        self.full = False
        self.sync_fails = False
        self.room: int | None = None
        self.attempts = 0

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room is not None:
            data, self.room = data[: self.room], max(0, self.room - len(data))
            if not data:
                self.attempts += 1
                raise OSError(errno.ENOSPC, "No space left on device")
        if self.full:
            self.attempts += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        if self.sync_fails:
            self.attempts += 1
            raise OSError(errno.EIO, "Input/output error")
        super().sync(descriptor)


class SlowDisk(Disk):
    """A disk whose syncs wait for permission."""

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.syncs = 0

    def sync(self, descriptor: int) -> None:
        self.go.acquire(timeout=30)
        self.syncs += 1
        super().sync(descriptor)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[JournalWriter]:
    async with JournalWriter(tmp_path / "journal") as writer:
        yield writer


async def test_order_is_the_order_of_the_calls(journal: JournalWriter) -> None:
    facts = [started(number) for number in range(500)]
    waits = [journal.append([fact]) for fact in facts[:250]]
    waits.append(journal.append(facts[250:400]))
    waits += [journal.append([fact]) for fact in facts[400:]]
    await asyncio.gather(*waits)
    assert [fact for _, fact in journal.read_from(Position(0))] == facts
    assert [position for position, _ in journal.read_from(Position(120))] == list(range(120, 500))
    assert journal.end == 500


async def test_one_sync_serves_many_appends(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.go.release(2)  # the head of the first segment, the first batch's sync comes after
    journal = JournalWriter(tmp_path, disk=disk)
    first = journal.append([started(0)])
    await first
    before = disk.syncs
    waits = [journal.append([started(number)]) for number in range(1, 101)]
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits[1:])
    disk.go.release(1000)
    await asyncio.gather(*waits)
    assert disk.syncs - before <= 2
    await journal.close()


async def test_nothing_is_told_before_it_is_durable(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.go.release(1)
    journal = JournalWriter(tmp_path, disk=disk)
    wait = journal.append([started(1)])
    await until(lambda: any(path.stat().st_size > 60 for path in tmp_path.glob("*.journal")))
    assert not wait.done()
    assert list(journal.read_from(Position(0))) == []
    disk.go.release(1000)
    await wait
    assert len(list(journal.read_from(Position(0)))) == 1
    await journal.close()


async def test_what_is_written_survives_the_process_before_it_is_durable(tmp_path: Path) -> None:
    disk = SlowDisk()
    disk.go.release()  # the first segment's head
    journal = JournalWriter(tmp_path / "journal", disk=disk)
    futures = [journal.append([started(number)]) for number in range(3)]
    assert journal.written()
    assert not any(future.done() for future in futures)
    shutil.copytree(tmp_path / "journal", tmp_path / "killed")  # as it would be found if this process ended now
    async with JournalWriter(tmp_path / "killed") as found:
        assert found.recover() == [started(number) for number in range(3)]
        assert found.state().torn_bytes == 0
    for _ in range(10):
        disk.go.release()
    await asyncio.gather(*futures)
    await journal.close()


@pytest.mark.parametrize("seed", range(6))
async def test_on_a_disk_that_comes_and_goes_every_fact_is_there_once_and_in_order(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    disk = FailingDisk()
    journal = JournalWriter(tmp_path, disk=disk, retry_seconds=0.001, segment_bytes=2000)
    facts = [started(number) for number in range(400)]
    rest = list(facts)
    while rest:
        count = chance.randrange(1, 4)
        journal.append(rest[:count])
        del rest[:count]
        if chance.random() < 0.1:
            disk.full, disk.sync_fails = chance.random() < 0.3, chance.random() < 0.3
            disk.room = chance.randrange(300) if chance.random() < 0.3 else None
        if chance.random() < 0.2:
            await asyncio.sleep(0.002)
    disk.full, disk.sync_fails, disk.room = False, False, None
    await until(lambda: journal.state().healthy and journal.state().in_memory == 0)
    await journal.append([started(400)])
    assert journal.written()
    assert [fact for _, fact in journal.read_from(Position(0))] == [*facts, started(400)]
    assert [position for position, _ in journal.read_from(Position(0))] == list(range(401))
    await journal.close()
    async with JournalWriter(tmp_path) as again:
        assert again.recover() == [*facts, started(400)]
        assert again.state().torn_bytes == 0


async def test_reopening_gives_everything_back(tmp_path: Path) -> None:
    facts: list[Fact] = [started(number) for number in range(10)]
    async with JournalWriter(tmp_path) as journal:
        identity = journal.journal_id
        await journal.append(facts)
    async with JournalWriter(tmp_path) as journal:
        assert journal.journal_id == identity
        assert journal.recover() == facts
        await journal.append([started(10)])
        assert [position for position, _ in journal.read_from(Position(9))] == [9, 10]


@pytest.mark.parametrize("cut", [1, 7, 8, 9, 60])
async def test_a_torn_tail_is_cut_and_its_positions_are_never_given_again(tmp_path: Path, cut: int) -> None:
    async with JournalWriter(tmp_path) as journal:
        await journal.append([started(number) for number in range(5)])
    (segment,) = tmp_path.glob("*.journal")
    segment.write_bytes(segment.read_bytes()[:-cut])
    async with JournalWriter(tmp_path) as journal:
        assert journal.recover() == [started(number) for number in range(4)]
        assert journal.state().torn_bytes > 0
        await journal.append([started(9)])
        assert [position for position, _ in journal.read_from(Position(0))] == [0, 1, 2, 3, 4 + TORN_GAP]
    async with JournalWriter(tmp_path) as journal:
        assert journal.state().torn_bytes == 0
        assert len(journal.recover()) == 5


async def test_records_this_version_cannot_read_are_passed_over_but_kept(tmp_path: Path) -> None:
    from cti.journal.codec import frame

    async with JournalWriter(tmp_path) as journal:
        await journal.append([started(0)])
    (segment,) = tmp_path.glob("*.journal")
    with segment.open("ab") as file:
        file.write(frame(b'{"fact":"CallTeleported","at":"2030-01-01T00:00:00.000000Z","call_id":"x"}'))
    async with JournalWriter(tmp_path) as journal:
        await journal.append([started(1)])
        assert journal.recover() == [started(0), started(1)]
        assert [position for position, _ in journal.read_from(Position(0))] == [0, 2]
        assert len(journal.records_from(Position(0), limit=10)) == 3


async def test_two_processes_cannot_write_one_journal(journal: JournalWriter) -> None:
    with pytest.raises(JournalError, match="another process") as raised:
        JournalWriter(journal.folder)
    assert raised.value.remedy


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened") as raised:
        JournalWriter(tmp_path / "file" / "journal")
    assert raised.value.remedy


async def test_a_naive_time_is_refused_at_once_and_nothing_of_the_call_is_queued(journal: JournalWriter) -> None:
    with pytest.raises(ValueError, match="naive"):
        journal.append([started(1), CallStarted(at=datetime(2026, 1, 1), call_id=CallId("x"), node=NodeName("a1"))])  # noqa: DTZ001
    await journal.append([started(2)])
    assert [fact for _, fact in journal.read_from(Position(0))] == [started(2)]


async def test_after_the_end_an_append_is_refused(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await journal.append([started(1)])


@pytest.mark.parametrize("fault", ["full", "sync_fails", "room"])
async def test_a_failing_disk_is_told_once_and_nothing_is_lost(tmp_path: Path, fault: str) -> None:
    disk = FailingDisk()
    journal = JournalWriter(tmp_path, disk=disk, retry_seconds=0.01)
    facts = [started(number) for number in range(30)]
    await journal.append(facts[:10])
    setattr(disk, fault, 130 if fault == "room" else True)  # room: the disk takes a part, then no more
    with pytest.raises(JournalError) as raised:
        await journal.append(facts[10:20])
    assert raised.value.kept
    assert raised.value.remedy
    for fact in facts[20:]:
        await journal.append([fact])  # calls go on
    state = journal.state()
    assert not state.healthy
    assert state.in_memory == 20
    assert state.trouble
    seen = disk.attempts
    await until(lambda: disk.attempts > seen + 2)
    setattr(disk, fault, None if fault == "room" else False)
    await until(lambda: journal.state().healthy)
    await journal.append([])
    assert [fact for _, fact in journal.read_from(Position(0))] == facts
    assert [position for position, _ in journal.read_from(Position(0))] == list(range(30))
    await journal.close()
    async with JournalWriter(tmp_path) as again:
        assert again.recover() == facts
        assert again.state().torn_bytes == 0


async def test_memory_has_a_limit_and_says_so(tmp_path: Path) -> None:
    disk = FailingDisk()
    journal = JournalWriter(tmp_path, disk=disk, retry_seconds=0.01, memory_limit=2000)
    disk.full = True
    with pytest.raises(JournalError):
        await journal.append([started(0)])
    while journal.state().refused == 0:
        refused = journal.append([started(1)])
    with pytest.raises(JournalError, match="memory is full") as raised:
        await refused
    assert not raised.value.kept
    assert journal.state().refused == 1
    disk.full = False
    await until(lambda: journal.state().healthy)
    await journal.close()


async def test_facts_that_could_not_be_written_at_the_end_are_counted_aloud(tmp_path: Path) -> None:
    disk = FailingDisk()
    journal = JournalWriter(tmp_path, disk=disk, retry_seconds=0.01)
    disk.full = True
    with pytest.raises(JournalError):
        await journal.append([started(0), started(1)])
    with pytest.raises(JournalError, match="2 facts"):
        await journal.close()


async def test_waiting_for_new_facts_ends_when_they_are_durable(journal: JournalWriter) -> None:
    assert journal.end == 0
    wait = asyncio.create_task(journal.wait_beyond(Position(0)))
    await asyncio.sleep(0)
    assert not wait.done()
    await journal.append([started(0), started(1)])
    async with asyncio.timeout(60):
        assert await wait == 2
        assert await journal.wait_beyond(Position(1)) == 2


async def fill(journal: JournalWriter, first: int, count: int, *, call: str | None = None) -> None:
    """Whole calls, or facts of one call that stays open."""
    for number in range(first, first + count):
        name = call or f"a1-{number}.1"
        await journal.append([started(number, call=name)] + ([] if call else [ended(number, name)]))


async def test_drained_segments_are_deleted_and_the_last_history_stays(tmp_path: Path) -> None:
    async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
        await fill(journal, 0, 60)
        count = len(list(tmp_path.glob("*.journal")))
        assert count > 5
        assert journal.forget(Position(0)) == 0
        assert journal.forget(Position(20)) > 0
        assert journal.first <= 20
        journal.forget(journal.end)
        assert 2 <= len(list(tmp_path.glob("*.journal"))) <= 3
        assert journal.end == 120
        await fill(journal, 100, 3)
        first = journal.first
        assert [position for position, _ in journal.read_from(Position(0))] == list(range(first, 126))
    async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
        assert journal.forget(journal.end) == 0  # not yet recovered: it does not know what is needed
        assert len(journal.recover()) == 126 - first


async def test_open_calls_wrap_ups_and_agent_states_keep_their_segments(tmp_path: Path) -> None:
    open_call, wrapping, agent = "a1-open.1", "a1-wrap.1", AgentId("1001")
    async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
        await journal.append([started(0, call=open_call)])
        await fill(journal, 1, 20)
        answered = CallAnswered(at=T0, call_id=CallId(wrapping), agent_id=agent)
        await journal.append([started(20, call=wrapping), answered, ended(21, wrapping)])
        await fill(journal, 22, 20)
        await journal.append([AgentChanged(at=T0, agent_id=agent, state=AgentState.READY)])
        await fill(journal, 50, 40)
        await journal.append([queued(90, open_call)])
        journal.forget(journal.end)
    async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
        facts = journal.recover()
        assert started(0, call=open_call) in facts
        assert queued(90, open_call) in facts
        assert answered in facts
        assert AgentChanged(at=T0, agent_id=agent, state=AgentState.READY) in facts
        assert len(facts) < 120
        await journal.append(
            [
                ended(100, open_call),
                WrapUpEnded(at=T0 + timedelta(seconds=99), call_id=CallId(wrapping), agent_id=agent),
                AgentChanged(at=T0, agent_id=agent, state=AgentState.OFFLINE),
            ]
        )
        await fill(journal, 101, 30)
        assert journal.forget(journal.end) > 0
        assert journal.first > 100


async def test_what_supervisors_said_last_is_kept_and_what_they_took_back_does_not_come_back(tmp_path: Path) -> None:
    support, sales, one, two, three = QueueName("support"), QueueName("sales"), *map(AgentId, ("1001", "1002", "1003"))
    said: list[Fact] = [
        QueueForced(at=T0, queue=support, open=True, by="sam"),
        QueueForced(at=T0, queue=sales, open=False, by="sam"),
        EmergencySet(at=T0, queue=None, prompt="storm", by="sam"),
        EmergencySet(at=T0, queue=sales, prompt="fire", by="sam"),
        AgentReassigned(at=T0, agent_id=one, queues=(sales,), by="sam"),
        AgentReassigned(at=T0, agent_id=two, queues=(sales,), by="sam"),
        AgentReassigned(at=T0, agent_id=three, queues=(sales,), shift=True, by="sam"),
    ]
    taken_back: list[Fact] = [
        QueueForced(at=T0, queue=sales, open=None, by="sam"),
        EmergencySet(at=T0, queue=sales, prompt="", by="sam"),
        AgentReassigned(at=T0, agent_id=two, by="sam"),
        AgentChanged(at=T0, agent_id=three, state=AgentState.OFFLINE),
    ]

    def state(facts: list[Fact]) -> Supervision:
        found = Supervision()
        for fact in facts:
            found.fact(fact)
        return found

    async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
        await journal.append([started(0, call="a1-open.1"), *said])  # the open call keeps what was taken back later
        await fill(journal, 1, 30)
        await journal.append(taken_back)
        await fill(journal, 40, 30)
        await journal.append([AgentChanged(at=T0, agent_id=three, state=AgentState.READY)])
        await fill(journal, 80, 40)
        assert journal.forget(journal.end) > 0
    for _ in range(2):
        async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
            facts = journal.recover()
            assert journal.forget(journal.end) == 0
        now = state(facts)
        assert len(facts) < 150
        assert (now.forced, now.emergencies) == ({support: said[0]}, {None: said[2]})
        assert now.reassigned == {one: said[4]}


async def test_the_reader_of_a_deleted_segment_goes_on_with_the_next(tmp_path: Path) -> None:
    async with JournalWriter(tmp_path, segment_bytes=2000) as journal:
        await fill(journal, 0, 60)
        reader = journal.read_from(Position(0))
        next(reader)
        journal.forget(journal.end)
        rest = [position for position, _ in journal.read_from(Position(1))]
        assert rest[-1] == 119


async def test_small_pages_read_everything_once(tmp_path: Path) -> None:
    async with JournalWriter(tmp_path, segment_bytes=1500) as journal:
        await fill(journal, 0, 50)
        place, seen = Position(0), []
        while page := journal.records_from(place, limit=7):
            assert len(page) <= 7
            seen += [record.position for record in page]
            place = Position(page[-1].position + 1)
        assert seen == list(range(100))
        assert [one.position for one in journal.records_from(Position(13), limit=3)] == [13, 14, 15]
