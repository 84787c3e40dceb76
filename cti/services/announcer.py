"""What a waiting caller is told: decided at each visit from the wait context, played by the dialplan after it.

`decide` is pure. The promises it keeps: the place told never rises unless somebody with more priority came, and then
that is said first; the wait told never rises unless the place did.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from cti.acd.estimates import ExpectedWait
from cti.clock import Clock
from cti.ids import CallId, QueueName
from cti.ivr.effects import Sound
from cti.ivr.spoken import GRAMMARS, MOST, WaitRange, Words
from cti.model.call import Call
from cti.model.centre import Announce, Queue, Target
from cti.model.facts import WaitPromised
from cti.services import departures
from cti.services.expected import QueueWaits, promised
from cti.services.switchboard import Switchboard

STEPS = (1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 45, 60)
"""Minutes in which a wait is told: the longer, the coarser."""
SLACK = timedelta(seconds=2)
"""A visit comes by whole seconds, so one that is a little early counts as in time."""
WARN_AGAIN = timedelta(minutes=3)
"""Who waits long hears an emergency announcement again after so long."""
ORDER_CHANGED = "order_changed"
KEY_WORDS = {"*": "key_star", "#": "key_hash"}
"""Prompts of the keys that are no digits; those are `digit_0` to `digit_9`."""
NO_OPTIONS: Mapping[str, Target] = {}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A waiting caller at one visit."""

    at: datetime
    place: int
    wait: ExpectedWait | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a caller has been told so far."""

    spoken_at: datetime | None = None
    """When anything was said last."""
    told_at: datetime | None = None
    """When place and wait were said last."""
    promised_at: datetime | None = None
    """When a wait was said last."""
    place: int | None = None
    wait: WaitRange | None = None
    comforts: int = 0


NOTHING = Told()


def minutes_of(wait: ExpectedWait) -> WaitRange:
    """An expected wait in the steps callers are told, rounded outwards."""
    low, high = wait.low / 60, wait.high / 60
    if high > STEPS[-1]:
        return WaitRange(least=0, most=STEPS[-1], above=True)
    return WaitRange(
        least=max((step for step in STEPS if step <= low), default=0),
        most=min(step for step in STEPS if step >= high),
    )


def option_words(options: Mapping[str, Target], available: Collection[str]) -> Words:
    """What waiting callers are told about their keys, in the order of the file.

    A target has a sentence of its own where there is a prompt `option_<kind>_<name>`, else that of its kind; one without
    any is not spoken of.
    """
    words: list[str] = []
    for key, target in options.items():
        key_word = KEY_WORDS.get(key, f"digit_{key}")
        for sentence in (f"option_{target.kind.value}_{target.name}", f"option_{target.kind.value}"):
            if sentence in available:
                words += _whole((sentence, key_word), available)
                break
    return tuple(words)


def decide(
    seen: Seen,
    told: Told,
    announce: Announce,
    language: str,
    available: Collection[str],
    options: Mapping[str, Target] = NO_OPTIONS,
) -> tuple[Words, Told]:
    """The prompts to play now (often none) and what the caller has been told then.

    A sentence with a prompt that is not `available` is left out whole. `options` are what the caller can have by a key.
    """
    grammar = GRAMMARS.get(language)
    if _due(told.told_at, announce.every, seen.at):
        risen = told.place is not None and seen.place > told.place
        said: list[str] = []
        wait, promised_at = told.wait, told.promised_at
        if grammar is not None and announce.place and seen.place <= MOST:
            said += _whole(grammar.place(seen.place), available)
        if grammar is not None and announce.wait and seen.wait is not None:
            new = minutes_of(seen.wait)
            if risen or not _longer(new, told.wait):
                # Less at the far end and more at the near one would sound longer too.
                wait = new if risen or told.wait is None else replace(new, least=min(new.least, told.wait.least))
                if words := _whole(grammar.wait(wait), available):
                    said += words
                    promised_at = seen.at
        if said and risen:
            said = [*_whole((ORDER_CHANGED,), available), *said]
        said += option_words(options, available)
        if said:
            after = replace(
                told, spoken_at=seen.at, told_at=seen.at, promised_at=promised_at, place=seen.place, wait=wait
            )
            return tuple(said), after
    comfort = [name for name in announce.comfort if name in available]
    if comfort and _due(told.spoken_at, announce.every / 2, seen.at):
        said_now = (comfort[told.comforts % len(comfort)],)
        return said_now, replace(told, spoken_at=seen.at, comforts=told.comforts + 1)
    return (), told


def _due(last: datetime | None, every: timedelta, now: datetime) -> bool:
    return last is None or now - last >= every - SLACK


def _whole(words: Words, available: Collection[str]) -> Words:
    return words if all(word in available for word in words) else ()


def _longer(new: WaitRange, old: WaitRange | None) -> bool:
    return old is not None and (new.above, new.most) > (old.above, old.most)


class Announcer:
    """Remembers what each waiting caller was told. `prompts` is name -> the languages it is there in; `promise` is given
    each wait that is told."""

    def __init__(
        self,
        board: Switchboard,
        prompts: Mapping[str, Collection[str]],
        clock: Clock,
        promise: Callable[[WaitPromised], None] = lambda _fact: None,
    ) -> None:
        self._board = board
        self._promise = promise
        self._clock = clock
        languages = {language for there in prompts.values() for language in there}
        self._available = {
            language: frozenset(name for name, there in prompts.items() if language in there) for language in languages
        }
        self._told: dict[tuple[CallId, QueueName], Told] = {}
        """A caller who is moved to another queue begins anew there."""
        self._waits: dict[QueueName, tuple[datetime, QueueWaits]] = {}
        self._warned: dict[CallId, tuple[datetime, str]] = {}
        """What callers were told before anything else: when, and which prompt."""

    def due(self, call_id: CallId) -> tuple[Sound, ...]:
        """What to play to this caller now. What is given counts as told."""
        call, place = self._board.calls.get(call_id), self._board.engine.standing(call_id)
        queue = self._board.centre.queues.get(call.queue) if call is not None and call.queue is not None else None
        if call is None or queue is None or place is None:
            return ()
        now = self._clock.now()
        language = call.language or self._board.centre.languages[0]
        if warning := self.warning(call_id, queue.name):
            return warning
        seen = Seen(at=now, place=place, wait=self._waits_of(queue.name, now).of_call(place, call))
        told = self._told.get((call_id, queue.name), NOTHING)
        available = self._available.get(language, frozenset())
        words, after = decide(seen, told, queue.announce, language, available, self._options(queue, call))
        if words:
            self._remember((call_id, queue.name), after)
            if after.promised_at == now and seen.wait is not None and seen.wait.mean > 0:
                self._promise(promised(seen.wait, call_id, queue.name, place, now, told=True))
            log.info("announced", call_id=call_id, prompts=" ".join(words), place=place, language=language)
        return tuple(Sound(language=language, name=word) for word in words)

    def warning(self, call_id: CallId, queue: QueueName | None) -> tuple[Sound, ...]:
        """What a supervisor wants callers to hear now: once, and again while they wait. What is given counts as told.

        Where it cannot be heard in the caller's language, it is said in those it can be heard in.
        """
        now = self._clock.now()
        emergency, call = self._board.supervision.emergency(queue, now), self._board.calls.get(call_id)
        if emergency is None or call is None:
            self._warned.pop(call_id, None)
            return ()
        last = self._warned.get(call_id)
        if last is not None and last[1] == emergency.prompt and now - last[0] < WARN_AGAIN:
            return ()
        self._warned[call_id] = now, emergency.prompt
        if len(self._warned) > 2 * len(self._board.calls) + 100:
            self._warned = {known: value for known, value in self._warned.items() if known in self._board.calls}
        there = emergency.languages or self._board.centre.languages
        mine = call.language or self._board.centre.languages[0]
        log.info("emergency_announced", call_id=call_id, prompt=emergency.prompt)
        return tuple(
            Sound(language=language, name=emergency.prompt) for language in ((mine,) if mine in there else there)
        )

    def _waits_of(self, queue: QueueName, now: datetime) -> QueueWaits:
        """Counted anew once a second at most: who serves a large queue is a long list."""
        known = self._waits.get(queue)
        if known is None or not timedelta() <= now - known[0] < timedelta(seconds=1):
            known = self._waits[queue] = now, QueueWaits(self._board, queue, now)
        return known[1]

    def _options(self, queue: Queue, call: Call) -> Mapping[str, Target]:
        """What this caller can have by a key: a callback only where one could be made."""
        return {key: target for key, target in queue.options.items() if departures.available(self._board, call, target)}

    def _remember(self, caller: tuple[CallId, QueueName], told: Told) -> None:
        self._told[caller] = told
        if len(self._told) > 2 * len(self._board.calls) + 100:
            self._told = {known: value for known, value in self._told.items() if known[0] in self._board.calls}
