"""Asking the caller for keys: the part that menu, collect and choose_language share.

A question plays its prompts, waits for the first key, gathers keys, and counts what went wrong. Silence and wrong
keys are counted apart, each with its own words and its own exit; `tries` bounds each count, so a question always ends.
Keys pressed before the question was asked (type-ahead) answer it at once unless `barge_in` is off.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from cti.ivr.effects import ALL_KEYS, AwaitDigit, Heard, Key, Play, Result, Silence
from cti.ivr.flow import Exit, Leave, Memo, Perform, Scene, Spoken, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """What is said before the question is asked again, and where the caller goes after the last try."""

    say: tuple[Spoken, ...]
    go: Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking(Memo):
    """How far a question has come."""

    playing: bool
    no_inputs: int = 0
    invalids: int = 0
    keys: str = field(default="", repr=False)
    spent: timedelta = timedelta()
    """Time since the first key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The caller gave a complete entry; the verb judges it."""

    keys: str = field(repr=False)
    scene: Scene
    memo: Asking


Answer = Perform | Leave | Answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked and what counts as a complete entry."""

    say: tuple[Spoken, ...]
    barge_in: bool
    tries: int
    first_digit: timedelta
    no_input: Retry
    invalid: Retry
    least: int = 1
    most: int = 1
    allowed: str = ALL_KEYS
    """Keys an entry may consist of; any other makes it wrong."""
    terminator: str = ""
    """The key that ends an entry early; empty for none."""
    inter_digit: timedelta = timedelta(seconds=3)
    overall: timedelta = timedelta(seconds=30)
    """Longest time for a whole entry, counted from its first key."""

    def begin(self, scene: Scene) -> Answer:
        """Ask for the first time."""
        memo = Asking(playing=True)
        if scene.typed and self.barge_in:
            key, rest = scene.typed[0], scene.typed[1:]
            return self._feed(replace(scene, typed=rest), memo, key)
        return self._ask(replace(scene, typed=""), memo, ())

    def take(self, scene: Scene, memo: Asking, result: Result) -> Answer | None:
        """Go on with a result; None when it is not one a question can have."""
        if isinstance(result, Heard):
            if result.digit is not None:
                return self._feed(scene, memo, result.digit)
            return Perform(effect=AwaitDigit(timeout=self.first_digit), scene=scene, memo=replace(memo, playing=False))
        if isinstance(result, Key):
            if memo.keys:
                memo = replace(memo, spent=memo.spent + result.after)
            return self._feed(scene, memo, result.digit)
        if isinstance(result, Silence):
            if not memo.keys:
                return self._nothing(scene, memo)
            return self._entry_ended(scene, memo)
        return None

    def refuse(self, scene: Scene, memo: Asking) -> Perform | Leave:
        """The entry was wrong: ask again or leave by `invalid`. Keys typed ahead are dropped, they answered this."""
        memo = replace(memo, invalids=memo.invalids + 1, keys="", spent=timedelta())
        scene = replace(scene, typed="")
        if memo.invalids >= self.tries:
            return Leave(exit="invalid", scene=scene, to=self.invalid.go.step)
        return self._ask(scene, memo, self.invalid.say)

    def exits(self) -> tuple[Exit, ...]:
        """The two exits of failure."""
        return (
            Exit(name="no_input", target=self.no_input.go, silent=True),
            Exit(name="invalid", target=self.invalid.go, silent=False),
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """Everything the question may say."""
        return self.say + self.no_input.say + self.invalid.say

    def _ask(self, scene: Scene, memo: Asking, before: tuple[Spoken, ...]) -> Perform:
        play = Play(sounds=scene.sounds(before + self.say), interrupt=ALL_KEYS if self.barge_in else "")
        return Perform(effect=play, scene=scene, memo=replace(memo, playing=True))

    def _nothing(self, scene: Scene, memo: Asking) -> Perform | Leave:
        memo = replace(memo, no_inputs=memo.no_inputs + 1)
        if memo.no_inputs >= self.tries:
            return Leave(exit="no_input", scene=scene, to=self.no_input.go.step)
        return self._ask(scene, memo, self.no_input.say)

    def _feed(self, scene: Scene, memo: Asking, key: str) -> Answer:
        """Add one key, and those typed ahead behind it."""
        keys, pending = memo.keys, key + scene.typed
        while pending:
            key, pending = pending[0], pending[1:]
            left = replace(scene, typed=pending)
            if key == self.terminator and self.terminator:
                return self._entry_ended(left, replace(memo, keys=keys))
            if key not in self.allowed:
                return self.refuse(left, memo)
            keys += key
            if len(keys) >= self.most:
                return Answered(keys=keys, scene=left, memo=replace(memo, keys=keys))
        memo = replace(memo, keys=keys, playing=False)
        scene = replace(scene, typed="")
        timeout = min(self.inter_digit, self.overall - memo.spent)
        if timeout <= timedelta():
            return self._entry_ended(scene, memo)
        return Perform(effect=AwaitDigit(timeout=timeout), scene=scene, memo=memo)

    def _entry_ended(self, scene: Scene, memo: Asking) -> Answer:
        if len(memo.keys) >= self.least:
            return Answered(keys=memo.keys, scene=scene, memo=memo)
        return self.refuse(scene, memo)
