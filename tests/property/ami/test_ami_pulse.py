"""The pulse on virtual time: a slow or dead link is noticed in time, and our own lateness is never taken for the link's."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.ami.link_timings import LinkTimings
from cti.asterisk.ami.pulse import SLACK, Pulse

SHIPPED = LinkTimings()
INTERVAL = SHIPPED.ping_interval.total_seconds()
PATIENCE, BEHIND, BUSY = (
    limit.total_seconds() for limit in (SHIPPED.ping_patience, SHIPPED.ping_reply, SHIPPED.ping_busy)
)
PONG = 100
"""Bytes of a ping's answer."""
seeds = st.integers(0, 2**32 - 1)


def shipped(now: float) -> Pulse:
    return Pulse(now, patience=PATIENCE, behind=BEHIND, busy=BUSY)


@dataclass
class Watch:
    """Pings as the session does, over a link that `answers`: when each ping's answer is here. Judges before it reads, which is
    the worse order of the two that event loops have."""

    pulse: Pulse
    now: float
    here_at: dict[int, float] = field(default_factory=dict)
    looks: int = 0

    def ping(self, delay: float, *, busy: bool = False) -> None:
        self.here_at[self.pulse.sent(busy=busy)] = self.now + delay

    def sleep(self, overslept: float = 0.0) -> float | None:
        self.now += INTERVAL + overslept
        self.looks += 1
        self.pulse.woke(self.now, meant=INTERVAL)
        late = self.pulse.late()
        for number in [number for number, at in self.here_at.items() if at <= self.now]:
            self.pulse.heard()
            self.pulse.answered(number)
            del self.here_at[number]
        return late


@given(seeds)
def test_however_late_we_are_a_link_that_answers_within_a_second_is_never_called_dead(seed: int) -> None:
    rng = random.Random(seed)
    watch = Watch(shipped(0.0), 0.0)
    overslept = rng.choice([0.0, 0.01, 0.3, 5.0])
    for look in range(400):
        watch.ping(rng.uniform(0.0, 1.0))
        assert watch.sleep(rng.expovariate(1 / overslept) if overslept else 0.0) is None, f"look {look}"


@given(seeds)
def test_what_is_asked_behind_a_long_question_has_longer(seed: int) -> None:
    rng = random.Random(seed)
    watch = Watch(shipped(0.0), 0.0)
    for _ in range(60):  # all answers come together, behind the list that was asked first
        watch.ping(max(0.0, 2.3 - watch.now), busy=watch.now < 2.3)
        assert watch.sleep(rng.uniform(0.0, SLACK)) is None


@given(seeds)
def test_silence_is_noticed_in_time_and_as_much_later_as_we_overslept(seed: int) -> None:
    rng = random.Random(seed)
    watch = Watch(shipped(0.0), 0.0)
    for _ in range(rng.randrange(1, 40)):
        watch.ping(0.001)
        watch.sleep()
    silent_from, late, slept = watch.now, None, 0.0
    while late is None:
        watch.ping(float("inf"))
        overslept = rng.choice([0.0, 0.0, 0.0, rng.uniform(0, 2)])
        slept += overslept
        late = watch.sleep(overslept)
    assert late > PATIENCE
    assert watch.now - silent_from - slept <= PATIENCE + 2 * INTERVAL < 3.0


class SlowLink:
    """400 bytes a second, 200 at a time, first come, first served: as `cti.soak.proxy` does it."""

    def __init__(self, free: float) -> None:
        self.free = free
        """When the next 200 bytes go through."""
        self.queue: deque[tuple[int, int]] = deque()
        """Bytes that wait, and which ping they answer (0: an event)."""

    def until(self, now: float) -> list[int]:
        """What was wholly through by now: pings answered, 0 for bytes of anything else."""
        through: list[int] = []
        while self.queue and self.free <= now:
            left = 200
            while left and self.queue:
                size, ping = self.queue.popleft()
                if size > left:
                    self.queue.appendleft((size - left, ping))
                    through.append(0)
                    break
                left -= size
                through.append(ping)
            self.free += 0.5
        if not self.queue:
            self.free = max(self.free, now)
        return through


@given(seeds, st.integers(0, 3000))
def test_a_link_of_400_bytes_a_second_is_noticed_within_three_seconds(seed: int, traffic: int) -> None:
    """`traffic`: bytes of events a second. Ten calls on the line make some hundred."""
    rng = random.Random(seed)
    pulse, link, now, next_event = shipped(0.0), SlowLink(rng.uniform(0, 0.5)), 0.0, 0.0
    late = None
    while late is None:
        assert now <= 3.0, f"{traffic} bytes a second"
        link.queue.append((PONG, pulse.sent(busy=False)))
        now += INTERVAL
        while traffic and next_event <= now:
            size = rng.randrange(200, 700)  # about what one event has
            link.queue.append((size, 0))
            next_event += size / traffic
        pulse.woke(now, meant=INTERVAL)
        for ping in link.until(now):
            pulse.heard()
            pulse.answered(ping)
        late = pulse.late()
    assert late > BEHIND


def test_an_answer_to_nothing_and_bytes_before_any_ping_are_harmless() -> None:
    pulse = shipped(5.0)
    pulse.heard()
    pulse.answered(7)
    pulse.woke(6.0, meant=1.0)
    assert pulse.late() is None
