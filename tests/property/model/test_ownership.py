"""Two bridges, one lease with the database's clock, freezes, a database that goes away, a cut between: who acts, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cti.model.ownership import Ownership, Standing

HOLD = 2.0


def test_a_bridge_beside_which_nobody_stands_by_is_never_in_doubt() -> None:
    mine = Ownership(token=0, hold=0.0, heard=0.0, shared=False)
    mine.seen(9)
    mine.refused(9)
    assert mine.standing(1e9) is Standing.OWNER


def test_an_old_word_is_none() -> None:
    mine = Ownership(token=1, hold=HOLD, heard=10.0)
    assert mine.standing(12.0) is Standing.OWNER
    assert mine.standing(12.1) is Standing.UNSURE
    mine.renewed(12.05)
    assert mine.standing(12.1) is Standing.OWNER


@pytest.mark.parametrize("how", ["refused", "seen"])
def test_what_is_lost_stays_lost(how: str) -> None:
    mine = Ownership(token=1, hold=HOLD, heard=10.0)
    getattr(mine, how)(2)
    mine.renewed(11.0)
    mine.unanswered(11.0)
    mine.seen(1)
    assert mine.standing(11.0) is Standing.LOST
    assert mine.lost_to == 2


def test_ones_own_token_in_asterisk_takes_nothing() -> None:
    mine = Ownership(token=4, hold=HOLD, heard=10.0)
    mine.seen(4)
    mine.seen(3)
    assert mine.standing(10.0) is Standing.OWNER


@dataclass
class Bridge:
    """A process: what it believes, what of its questions is under way, whether it is frozen."""

    mine: Ownership | None = None
    frozen: bool = False
    cut: bool = False
    """Whether it alone cannot reach the database."""
    acted: list[tuple[float, int]] = field(default_factory=list)


class TwoBridges(RuleBasedStateMachine):
    """With the database reachable by both, no two act in one moment, whatever is frozen or killed and for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.token, self.holder, self.until = 0, -1, -1.0
        self.bridges = [Bridge(), Bridge()]
        self.down = False

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 1.9, 2.1, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.down)
    @rule(which=st.integers(0, 1))
    def takes(self, which: int) -> None:
        bridge = self.bridges[which]
        if bridge.frozen or bridge.mine is not None or self.until >= self.now:
            return
        self.token, self.holder, self.until = self.token + 1, which, self.now + HOLD
        bridge.mine = Ownership(token=self.token, hold=HOLD, heard=self.now)

    @rule(which=st.integers(0, 1), late=st.sampled_from([0.0, 0.3, 0.9]))
    def renews(self, which: int, late: float) -> None:
        """Asked now; the answer comes later, and may find the process frozen in between."""
        bridge = self.bridges[which]
        if bridge.frozen or bridge.mine is None:
            return
        asked = self.now
        if self.down:
            bridge.mine.unanswered(asked)
            return
        if (self.holder, self.token) == (which, bridge.mine.token):
            self.until = self.now + HOLD
            self.now += late
            bridge.mine.renewed(asked)
        else:
            bridge.mine.refused(self.token)

    @rule(which=st.integers(0, 1))
    def freezes_or_thaws(self, which: int) -> None:
        self.bridges[which].frozen = not self.bridges[which].frozen

    @rule(which=st.integers(0, 1))
    def dies(self, which: int) -> None:
        self.bridges[which] = Bridge()

    @rule()
    def the_database_goes_or_comes(self) -> None:
        """It comes back with everybody's lease run out; while it is away nobody takes anything."""
        self.down = not self.down
        if not self.down:
            # An owner renews before the one who stands by may take: that one waits for as long as a lease lasts.
            for which, bridge in enumerate(self.bridges):
                if bridge.mine is not None and (self.holder, self.token) == (which, bridge.mine.token):
                    if not bridge.frozen:
                        self.until = self.now + HOLD
                        bridge.mine.renewed(self.now)
                    else:
                        self.until = max(self.until, self.now)

    @invariant()
    def at_most_one_acts(self) -> None:
        acting = [
            bridge.mine.token
            for bridge in self.bridges
            if bridge.mine is not None and not bridge.frozen and bridge.mine.standing(self.now) is Standing.OWNER
        ]
        assert len(acting) <= 1, f"tokens {acting} act at {self.now}"


TestTwoBridges = TwoBridges.TestCase
