"""What waiting callers are told, decided on virtual time: how often, in which order, and what is never said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.acd.estimates import ExpectedWait
from cti.ids import CallId, QueueName
from cti.ivr.prompt_book import parse_prompts
from cti.ivr.spoken import GRAMMARS, WaitRange, words
from cti.model.centre import Announce, Outbound, Target, TargetKind
from cti.services.announcer import NOTHING, Announcer, Seen, Told, decide, minutes_of, option_words
from tests.support.floor_rig import FloorRig

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANNOUNCE = Announce(every=timedelta(seconds=30), comfort=("thanks", "busy"))
ALL = words("en") | words("zh") | {"thanks", "busy", "order_changed"}


def wait(low: float, high: float) -> ExpectedWait:
    return ExpectedWait(low=low, mean=(low + high) / 2, high=high)


def at(seconds: float, place: int, expected: ExpectedWait | None = None) -> Seen:
    return Seen(at=NINE + timedelta(seconds=seconds), place=place, wait=expected)


def talk(seens: list[Seen], *, announce: Announce = ANNOUNCE, language: str = "en") -> list[tuple[str, ...]]:
    """What is said at each visit."""
    told, said = NOTHING, []
    for seen in seens:
        now, told = decide(seen, told, announce, language, ALL)
        said.append(now)
    return said


def test_first_at_once_then_at_intervals_with_comfort_halfway() -> None:
    said = talk([at(10 * visit, 3) for visit in range(1, 10)])
    place = GRAMMARS["en"].place(3)
    assert said == [place, (), ("thanks",), place, (), ("busy",), place, (), ("thanks",)]


def test_place_and_wait_are_one_announcement() -> None:
    (said,) = talk([at(10, 2, wait(130, 250))], language="zh")
    assert said == (*GRAMMARS["zh"].place(2), *GRAMMARS["zh"].wait(WaitRange(least=2, most=5)))


def test_a_longer_wait_is_not_said_unless_somebody_came_before() -> None:
    place = GRAMMARS["en"].place
    longer = GRAMMARS["en"].wait(WaitRange(least=7, most=15))
    said = talk([at(0, 4, wait(200, 290)), at(30, 4, wait(430, 890)), at(60, 6, wait(430, 890))])
    assert said[0] == (*place(4), *GRAMMARS["en"].wait(WaitRange(least=3, most=5)))
    assert said[1] == place(4)
    assert said[2] == ("order_changed", *place(6), *longer)


def test_the_near_end_of_the_range_does_not_rise_either() -> None:
    said = talk([at(0, 4, wait(130, 600)), at(30, 4, wait(250, 500))])
    assert said[1][3:] == GRAMMARS["en"].wait(WaitRange(least=2, most=10))


def test_what_is_switched_off_is_not_said() -> None:
    seens = [at(0, 2, wait(130, 250))]
    assert talk(seens, announce=Announce(place=False)) == [GRAMMARS["en"].wait(WaitRange(least=2, most=5))]
    assert talk(seens, announce=Announce(wait=False)) == [GRAMMARS["en"].place(2)]
    assert talk(seens, announce=Announce(place=False, wait=False, comfort=())) == [()]
    assert talk(seens, announce=ANNOUNCE, language="fr") == [("thanks",)]


OPTIONS = {
    "1": Target(kind=TargetKind.CALLBACK),
    "*": Target(kind=TargetKind.VOICEMAIL),
    "3": Target(kind=TargetKind.QUEUE, name="sales"),
    "4": Target(kind=TargetKind.QUEUE, name="vip"),
    "5": Target(kind=TargetKind.HANG_UP),
}
SPOKEN = {"option_callback", "option_voicemail", "option_queue", "option_queue_sales", "key_star"}
KEYS = {f"digit_{key}" for key in range(10)}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_options_are_said_after_place_and_wait_each_with_its_key(language: str) -> None:
    there = ALL | SPOKEN | KEYS
    said, told = decide(at(0, 2, wait(130, 250)), NOTHING, ANNOUNCE, language, there, OPTIONS)
    grammar = GRAMMARS[language]
    assert said == (
        *grammar.place(2),
        *grammar.wait(WaitRange(least=2, most=5)),
        *("option_callback", "digit_1", "option_voicemail", "key_star"),
        *("option_queue_sales", "digit_3", "option_queue", "digit_4"),
    )
    assert decide(at(10, 2), told, ANNOUNCE, language, there, OPTIONS)[0] == ()


def test_options_are_said_where_nothing_else_is_and_whole_or_not_at_all() -> None:
    silent = Announce(place=False, wait=False, comfort=())
    assert decide(at(0, 2), NOTHING, silent, "fr", SPOKEN | {"digit_1"}, OPTIONS)[0] == (
        "option_callback", "digit_1", "option_voicemail", "key_star",
    )  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shipped_prompts_have_the_options_and_every_key(language: str) -> None:
    book = parse_prompts((Path(__file__).parents[3] / "ivr_flows" / "prompts.yaml").read_text(), "prompts.yaml")
    assert not isinstance(book, list)
    there = {name for name, languages in book.prompts.items() if language in languages}
    kinds = [TargetKind.CALLBACK, TargetKind.VOICEMAIL, TargetKind.QUEUE, TargetKind.NUMBER]
    for kind in kinds:
        for key in "0123456789*#":
            assert len(option_words({key: Target(kind=kind, name="x")}, there)) == 2


def test_a_callback_is_not_spoken_of_to_whom_cannot_be_called() -> None:
    rig = FloorRig()
    support = replace(rig.board.centre.queues[QueueName("support")], options={"1": Target(kind=TargetKind.CALLBACK)})
    queues = {**rig.board.centre.queues, support.name: support}
    rig.board.centre = replace(rig.board.centre, queues=queues, outbound=Outbound(allow=("+1555",)))
    rig.board.can_dial_out = True
    announcer = Announcer(rig.board, {"option_callback": ("en",), "digit_1": ("en",)}, Clock(rig))
    known, withheld = rig.call(), rig.call(number=None)
    for call_id in (known, withheld):
        rig.queue(call_id)
    assert [sound.name for sound in announcer.due(known)] == ["option_callback", "digit_1"]
    assert announcer.due(withheld) == ()


def test_a_sentence_with_a_missing_prompt_is_left_out() -> None:
    said, told = decide(at(0, 2, wait(130, 250)), NOTHING, Announce(comfort=("none",)), "en", ALL - {"in_line"})
    assert said == GRAMMARS["en"].wait(WaitRange(least=2, most=5))
    assert decide(at(0, 2), NOTHING, Announce(comfort=("none",)), "en", frozenset()) == ((), NOTHING)
    assert told.told_at is not None


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0, 0, (0, 1)), (10, 59, (0, 1)), (61, 130, (1, 3)), (400, 800, (5, 15)), (1800, 3500, (30, 60))],
)
def test_steps(low: float, high: float, told: tuple[int, int]) -> None:
    assert minutes_of(wait(low, high)) == WaitRange(least=told[0], most=told[1])
    assert minutes_of(wait(low, 3700)).above


expected = st.one_of(st.none(), st.tuples(st.floats(0, 5000), st.floats(0, 5000)).map(lambda ends: wait(*sorted(ends))))


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40), expected), max_size=40))
def test_neither_place_nor_wait_rises_but_behind_others(visits: list[tuple[int, int, ExpectedWait | None]]) -> None:
    told, clock = NOTHING, 0.0
    for gap, place, wait_now in visits:
        clock += gap
        before: Told = told
        said, told = decide(at(clock, place, wait_now), told, ANNOUNCE, "en", ALL)
        if not said or (len(said) == 1 and said[0] in ANNOUNCE.comfort):
            assert (told.place, told.wait) == (before.place, before.wait)
            continue
        risen = before.place is not None and place > before.place
        assert (said[0] == "order_changed") == risen
        assert told.place == place
        if before.wait is not None and told.wait is not None and not risen:
            old, new = before.wait, told.wait
            assert (new.above, new.most) <= (old.above, old.most)
            assert new.least <= old.least
        assert told.told_at == NINE + timedelta(seconds=clock)


class Clock:
    """Says what it is told."""

    def __init__(self, rig: FloorRig) -> None:
        self._rig = rig

    def now(self) -> datetime:
        return self._rig.now

    def monotonic(self) -> float:
        return self._rig.now.timestamp()


def test_on_the_floor_each_caller_is_told_in_the_own_language_and_only_while_waiting() -> None:
    rig = FloorRig()
    announcer = Announcer(rig.board, dict.fromkeys(ALL | {"thank_you_for_waiting"}, ("en", "zh")), Clock(rig))
    first, second = rig.call(), rig.call()
    rig.queue(first)
    rig.pass_time(1)
    rig.queue(second)
    assert [(sound.language, sound.name) for sound in announcer.due(second)] == [
        ("en", name) for name in GRAMMARS["en"].place(2)
    ]
    assert announcer.due(second) == ()
    rig.ready("1002")
    assert announcer.due(first) == ()  # under an offer
    assert announcer.due(CallId("t1-1.999")) == ()
