"""What a caller asks for as the wait goes on: one line of time from the queue's `relax` and its agents' tiers.

A caller's first stage asks for everything and for agents of tier 1; each step asks for less, or lets one tier more in.
Stages only widen: whoever may serve in one may serve in all later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate

from cti.model.centre import Queue
from cti.model.requirement import Requirement, meets, relaxed

EVERY_TIER = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Who may serve: agents who meet `needed`, of a tier not above `tier`."""

    needed: Requirement
    tier: int
    relaxed: int = 0
    """Steps of `relax` behind it."""

    def admits(self, skills: Mapping[str, int], tier: int) -> bool:
        """Whether an agent with these skills and in that tier may serve."""
        return tier <= self.tier and meets(skills, self.needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What changes when a caller has waited for `after`: skills asked for, or the tier."""

    after: timedelta
    skills: Mapping[str, int] | None = None
    tier: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A queue's steps in order of time, relaxation before tier where both come at once."""

    first_tier: int
    steps: tuple[Step, ...]

    def stages(self, needed: Requirement) -> tuple[Stage, ...]:
        """The stages of a caller who asks for `needed` at first: one more than there are steps."""
        first = Stage(needed=needed, tier=self.first_tier)
        return tuple(accumulate(self.steps, _after, initial=first))


def _after(stage: Stage, step: Step) -> Stage:
    if step.skills is None:
        return Stage(needed=stage.needed, tier=step.tier, relaxed=stage.relaxed)
    return Stage(needed=relaxed(stage.needed, step.skills), tier=stage.tier, relaxed=stage.relaxed + 1)


def timeline(queue: Queue, tiers: Iterable[int]) -> Timeline:
    """The line of time of a queue whose agents are in these tiers."""
    steps = [Step(after=relaxation.after, skills=relaxation.skills) for relaxation in queue.relax]
    later = sorted({tier for tier in tiers if tier > 1}) if queue.tier_wait > timedelta() else []
    steps += [Step(after=queue.tier_wait * (tier - 1), tier=tier) for tier in later]
    # The sort is stable: of two at the same moment the relaxation stays before the tier.
    return Timeline(first_tier=1 if later else EVERY_TIER, steps=tuple(sorted(steps, key=lambda step: step.after)))
