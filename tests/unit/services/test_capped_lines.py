"""A queue whose cap is used up: its callers are kept from agents at outside numbers, and from nobody else; nobody waits for it
in another queue. For whom a caller who is sent out counts, and what is written down of all that."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cti.ids import AgentId, CallId, QueueName
from cti.journal.codec import MAX_PAYLOAD, decode, encode
from cti.model import facts as f
from cti.model.commands import HangUp
from cti.model.facts import AgentState, DestinationKind, Device
from cti.model.supervision_facts import MessageSent
from cti.model.toll_facts import LegKind, TollAnswered, TollBegan, TollEnded, TollsKept
from cti.model.tolls import CENTRE, Scope
from cti.services import agents, outbound, supervision_floor, tolls
from cti.services.centre_notices import CentreNotice
from cti.services.floor import Refused
from cti.services.floor_requests import FloorRequests
from cti.services.talk_view import SendTo
from tests.support.floor_rig import FloorRig

TEXT = """
name: Capped
numbers:
  "5000": {flow: main, survival_queue: support}
queues:
  support: {titles: {en: Support}, wrap_up: 0}
  sales: {titles: {en: Sales}, wrap_up: 0}
agents:
  "1001": {name: Ada, queues: [support, sales], number: "+15550100091"}
  "1002": {name: Bo, queues: [support, sales], number: "+15550100092"}
  "1003": {name: Cy, queues: [support, sales]}
outbound:
  allow: ["+1555"]
  caps:
    queues: {support: {dials_an_hour: 0}}
"""


class Floor(FloorRig):
    """Ada and Bo are at outside numbers, Cy may come to the house."""

    def __init__(self, text: str = TEXT) -> None:
        super().__init__(text)
        outbound.open_trunk(self.board, self.now, there=True)
        self.board.linked = True

    def outside(self, *names: str) -> None:
        for name in names:
            agents.set_agent(self.board, AgentId(name), AgentState.READY, self.now, reason="", device=Device.EXTERNAL)
            self.drain()

    def offered(self, call_id: CallId) -> AgentId | None:
        return self.live(call_id).offered_agent


def test_who_waits_in_another_queue_is_offered_at_once_and_the_capped_one_when_there_is_room() -> None:
    floor = Floor()
    floor.outside("1001", "1002")
    capped = floor.call()
    floor.queue(capped, "support")
    floor.pass_time(5)
    assert floor.offered(capped) is None
    assert not floor.board.lines_taken
    assert floor.board.tolls.held == {capped}
    other = floor.call()
    floor.queue(other, "sales")
    assert floor.offered(other) is not None
    later = floor.call()
    floor.queue(later, "sales")
    floor.pass_time(3)
    assert floor.offered(later) not in (None, floor.offered(other))
    floor.hang_up_caller(other)
    floor.hang_up_caller(later)
    # A visit from the wait context makes them no more offerable than they are.
    floor.waits(capped)
    floor.pass_time(2)
    assert floor.offered(capped) is None
    floor.board.centre.outbound.tolls.caps[Scope.QUEUE, "support"] = {}  # type: ignore[index]
    floor.pass_time(2)
    assert floor.offered(capped) is not None
    assert not floor.board.tolls.held


def test_an_agent_in_the_house_is_offered_the_capped_caller_and_in_the_order_of_waiting() -> None:
    floor = Floor()
    floor.outside("1001")
    capped = floor.call()
    floor.queue(capped, "support")
    assert floor.offered(capped) is None
    floor.outside("1002")
    busy = [floor.call(), floor.call()]
    for call_id in busy:
        floor.queue(call_id, "sales")
        floor.pass_time(1)
    assert {floor.offered(call_id) for call_id in busy} == {"1001", "1002"}
    behind = floor.call()
    floor.queue(behind, "sales")
    floor.ready("1003")
    assert floor.offered(capped) == "1003", "who waits longer is first"
    assert floor.offered(behind) is None
    floor.hang_up_caller(busy[0])
    assert floor.offered(behind) is not None


def test_a_held_caller_is_found_an_agent_in_the_house_who_is_free_whoever_has_been_idle_for_longer() -> None:
    floor = Floor()
    floor.outside("1001", "1002")
    floor.pass_time(30)
    floor.ready("1003")
    capped = floor.call()
    floor.queue(capped, "support")
    floor.pass_time(2)
    assert floor.offered(capped) == "1003"


def test_a_held_caller_who_hangs_up_is_forgotten() -> None:
    floor = Floor()
    floor.outside("1001")
    capped = floor.call()
    floor.queue(capped, "support")
    floor.hang_up_caller(capped)
    floor.pass_time(2)
    assert not floor.board.tolls.held


SENT = TEXT.replace("queues: {support: {dials_an_hour: 0}}", "each_supervisor: {dials_an_hour: 1}")


def test_a_supervisor_with_the_name_of_an_agent_is_counted_as_the_supervisor_who_was_asked_about() -> None:
    floor = Floor(SENT)
    to = SendTo(kind=DestinationKind.NUMBER, name="+15550100081")
    waiting, talking = floor.call(), floor.call()
    floor.queue(waiting)
    supervision_floor.send_call(floor.board, waiting, to, floor.now, by="1002", note="")
    floor.drain()
    book = floor.board.tolls.book
    assert book.used((Scope.SUPERVISOR, "1002"), floor.now).dials == 1
    assert book.used((Scope.AGENT, "1002"), floor.now).dials == 0
    (sent,) = floor.of(f.CallSentOut)
    assert cast("f.CallSentOut", sent).by_whom is f.SentBy.SUPERVISOR
    floor.ready("1003")
    floor.queue(talking)
    floor.answer(talking, "1003")
    with pytest.raises(Refused, match="supervisor 1002"):
        supervision_floor.send_call(floor.board, talking, to, floor.now, by="1002", note="")


def test_facts_of_before_tell_nobodys_kind() -> None:
    old = b'{"fact":"CallSentOut","at":"2026-03-01T09:00:00.000000Z","call_id":"t1-1.1","number":"+15550100081","by":"1001"}'
    fact = decode(old)
    assert isinstance(fact, f.CallSentOut)
    assert (fact.by, fact.by_whom) == ("1001", f.SentBy.NOT_TOLD)
    kept = decode(b'{"fact":"TollsKept","at":"2026-03-01T09:00:00.000000Z","next_leg":7,"latest":1,"legs":[]}')
    assert isinstance(kept, TollsKept)
    assert (kept.part, kept.of) == (1, 1)


def fill(floor: Floor, legs: int, hours: float = 20) -> None:
    """So many legs that are over, in the hours before now."""
    book, step = floor.board.tolls.book, timedelta(hours=hours) / legs
    for number in range(legs):
        at, leg = floor.now - timedelta(hours=hours) + number * step, book.next_leg
        call_id = CallId(f"a-centre-of-some-name-1-{1_800_000_000 + number}.{number}")
        book.learn(
            TollBegan(
                at=at, leg=leg, call_id=call_id, kind=LegKind.DIAL, agent_id=AgentId(str(1000 + number % 100)),
                queue=QueueName("support"), prefix="+1555", per_minute=60_000, first=60, then=1,
            )
        )  # fmt: skip
        book.learn(TollAnswered(at=at + timedelta(seconds=5), leg=leg, call_id=call_id, leg_id=f"leg-{number}"))
        book.learn(TollEnded(at=at + timedelta(seconds=65), leg=leg, call_id=call_id))


def test_a_large_book_is_written_down_part_by_part_and_rarely() -> None:
    floor = Floor(SENT)
    fill(floor, 4500)
    floor.pass_time(10)
    parts = [cast("TollsKept", fact) for fact in floor.of(TollsKept)]
    assert [(one.part, one.of, len(one.legs)) for one in parts] == [(1, 3, 2000), (2, 3, 2000), (3, 3, 500)]
    assert len({one.at for one in parts}) == 3, "one a second"
    assert max(len(encode(one)) for one in parts) < MAX_PAYLOAD / 30
    book = floor.board.tolls.book
    fill(floor, 300, hours=0.5)
    assert book.written_due(tolls.KEEP_LEAST, tolls.KEEP_AFTER) == book.oldest_since + 26 * tolls.HOUR
    fill(floor, 500, hours=0.4)
    assert book.written_due(tolls.KEEP_LEAST, tolls.KEEP_AFTER) == book.oldest_since + tolls.KEEP_AFTER
    again = Floor(SENT)
    again.now = floor.now
    again.board.recover(parts, floor.now)
    fill(again, 300, hours=0.5)
    fill(again, 500, hours=0.4)
    assert again.board.tolls.book.used(CENTRE, floor.now) == book.used(CENTRE, floor.now)


def test_what_was_written_here_is_not_read_back_and_what_is_read_is_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    floor, counted = Floor(SENT), list[int]()
    book = type(floor.board.tolls.book)
    count = book._count_again
    monkeypatch.setattr(book, "_count_again", lambda self, now: (counted.append(now), count(self, now)))
    fill(floor, 900)
    floor.pass_time(5)
    fill(floor, 900, hours=0.1)
    floor.pass_time(2 * 3600)
    kept = floor.of(TollsKept)
    assert len(kept) > 1
    assert not counted
    again = Floor(SENT)
    again.board.recover(kept, floor.now)
    again.board.tolls.book.used(CENTRE, floor.now)
    assert len(counted) == 1


def test_windows_nobody_asks_about_are_trimmed_when_all_is_written_down() -> None:
    floor = Floor(SENT)
    fill(floor, 450)
    floor.now += timedelta(hours=30)
    fill(floor, 1)
    book = floor.board.tolls.book
    book.kept(floor.now, tolls.PART)
    account = book._accounts[Scope.QUEUE, "support"]
    assert (len(account.day._whole), len(account.day._leaving), len(account.dials)) == (1, 0, 0)
    assert len(book.over) == 1


def test_what_was_spent_is_counted_once_in_five_seconds_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    floor, asked = Floor(SENT), list[Any]()
    told = SimpleNamespace(board=floor.board, _clock=SimpleNamespace(now=lambda: floor.now), _spent=None)
    monkeypatch.setattr("cti.services.floor_requests.spent", lambda board, now: asked.append(now) or len(asked))
    spent = cast("Any", FloorRequests.spent)
    assert [spent(told) for _ in range(3)] == [1, 1, 1]
    floor.now += timedelta(seconds=4.9)
    assert spent(told) == 1
    floor.now += timedelta(seconds=0.2)
    assert spent(told) == 2
    floor.now -= timedelta(seconds=60)
    assert spent(told) == 3, "the clock was set back"


def test_who_dialled_is_told_why_the_call_was_ended_once_and_until_it_was_seen() -> None:
    floor = Floor(TEXT.replace("  caps:\n", "  when_reached: end\n  caps:\n    each_agent: {minutes_a_day: 1}\n"))
    floor.ready("1003")
    book, call_id = floor.board.tolls.book, floor.call()
    leg = book.next_leg
    floor.board.record(
        TollBegan(
            at=floor.now,
            leg=leg,
            call_id=call_id,
            kind=LegKind.DIAL,
            agent_id=AgentId("1003"),
            prefix="+1555",
            leg_id="leg-77",
        )
    )
    floor.board.record(TollAnswered(at=floor.now, leg=leg, call_id=call_id, leg_id="leg-77"))
    before = floor.pass_time(55)
    assert not [one for one in before if isinstance(one, HangUp)]
    assert not floor.of(MessageSent)
    ended = [one for one in floor.pass_time(30) if isinstance(one, HangUp)]
    assert [one.channel for one in ended] == ["leg-77"]
    (told,) = floor.of(MessageSent)
    assert (told.by, told.text, told.agents) == ("", CentreNotice.CALL_ENDED_BY_CAP, ("1003",))
    supervision_floor.message_seen(floor.board, AgentId("1003"), told.message_id, floor.now)
    assert floor.of(MessageSent) == [told]
