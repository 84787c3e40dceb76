"""How long a waiting caller will wait: from the place, from who gives up before, from who serves, from what was learned.

Theory. With all who serve busy, calls leave the queue at the rate `s*mu + k*theta` while k callers are ahead: `s` servers
end a call every `1/mu` seconds each, and each of the k gives up after `1/theta` seconds in the mean. The caller with n
ahead waits for n + 1 such departures (QL_A; without abandonment (n+1)/(s*mu)). The wait that counts is that of callers who
stay to be served, and these are the ones whose wait turned out shorter: given that none of the n + 1 steps was cut off
by the caller's own giving up, a step takes `1/(s*mu + (k+1)*theta)` in the mean (measured: the bias falls from 2-16 % to
under 3 %). Means and variances add up; the range is that of a gamma distribution with this mean and variance.

Agents who serve several queues take whoever of all these is first, so what lies before callers who came at the same time
is done at about the same time in all queues, as far as the agents can: each queue counts them by the share that makes it so.
(Measured with half of the agents shared: the smaller queue's error is 0.63 of a moving average's instead of 0.73 when they
count by how often calls come.) `mu` and `theta` are learned: exponentially weighted, so the newest calls count most, over
priors that a few calls outweigh.

What theory leaves out (patience and handling times that are not exponential, agents who come and go) is learned from
promises kept and broken: slowly, per queue, a factor on the mean so that errors cancel out, and each end of the range so
that one real wait in ten lies beyond it. Both are integral controls: over many promises they cannot stay wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cti.ids import QueueName

HANDLING_PRIOR = 210.0
"""Seconds of talk and wrap-up of a call, before any was seen."""
PRIOR_CALLS = 4.0
"""Calls the prior of the handling time is worth."""
HANDLING_MEMORY = 1500
"""Calls over which handling times are remembered. Fewer follow a change faster, but scatter: with 400 the estimates are
2 % too long, because a queue is long just when the last calls happened to be."""
PATIENCE_PRIOR = 900.0
"""Seconds a caller waits before giving up, before anybody did."""
PRIOR_ABANDONS = 1.0
PATIENCE_MEMORY = 2000
"""Calls over which patience is remembered; abandons are rare, so more than for handling times."""
ROUNDS = 12
"""Of dividing shared agents among their queues; each brings the division nearer to even."""
EIGHTY_PERCENT = 1.2816
"""Standard normal deviate that leaves 10 % on each side."""
BEYOND = 0.1
"""Share of real waits below the range, and as many above it."""
MEAN_GAIN = 1 / 1500
"""How much of one promise's error, relative to the mean wait, goes into the learned factor."""
RANGE_GAIN = 0.006
"""How far, in standard deviates, one broken promise moves that end of the range (times 0.9; a kept one back, times 0.1)."""
LEAST_END, MOST_END = 0.3, 4.0
"""Bounds of the ends of the range, in standard deviates."""
MOST_FACTOR = 2.0
"""The learned factor on the mean stays between one half and this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedWait:
    """An expected wait in seconds. The real one lies between `low` and `high` in four of five cases."""

    low: float
    mean: float
    high: float


NOW = ExpectedWait(low=0.0, mean=0.0, high=0.0)
"""An agent is free."""


class Handling:
    """Handling times of one queue, exponentially weighted: mean and spread."""

    __slots__ = ("_square", "mean", "weight")

    def __init__(self) -> None:
        self.mean = HANDLING_PRIOR
        self._square = 2 * HANDLING_PRIOR**2  # as spread as an exponential time
        self.weight = PRIOR_CALLS
        """Calls the mean rests on."""

    def see(self, seconds: float) -> None:
        """One more call."""
        self.weight = self.weight * (1 - 1 / HANDLING_MEMORY) + 1
        self.mean += (seconds - self.mean) / self.weight
        self._square += (seconds**2 - self._square) / self.weight

    @property
    def spread(self) -> float:
        """Squared coefficient of variation; 1 for exponential times, 0 when all are alike."""
        return max(0.0, self._square / self.mean**2 - 1)


class Patience:
    """The rate at which waiting callers give up: abandons over the time waited, by all who waited."""

    __slots__ = ("_abandons", "_waited")

    def __init__(self) -> None:
        self._abandons = PRIOR_ABANDONS
        self._waited = PRIOR_ABANDONS * PATIENCE_PRIOR

    def see(self, waited: float, *, abandoned: bool) -> None:
        """One more caller's wait is over. Those who were served count too: they have not given up for so long."""
        kept = 1 - 1 / PATIENCE_MEMORY
        self._abandons = self._abandons * kept + abandoned
        self._waited = self._waited * kept + waited

    @property
    def rate(self) -> float:
        """Abandons a second of waiting."""
        return self._abandons / self._waited if self._waited > 0 else 0.0


class Calibration:
    """What promises kept and broken taught about one queue, on top of theory."""

    __slots__ = ("_waited", "above", "below", "factor")

    def __init__(self) -> None:
        self.factor = 1.0
        """On the mean that theory gives."""
        self.below = EIGHTY_PERCENT
        """Standard deviates from the middle to the range's low end."""
        self.above = EIGHTY_PERCENT
        """And to its high end."""
        self._waited = 0.0
        """Mean wait, of late: what an error is measured by."""

    def see(self, promise: ExpectedWait, waited: float) -> None:
        """One more promise met what really was."""
        if promise.mean <= 0:
            return
        self._waited += (max(waited, promise.mean) - self._waited) * (0.01 if self._waited else 1.0)
        # One wild wait is worth no more than three usual ones.
        error = max(-3.0, min((waited - promise.mean) / self._waited, 3.0))
        self.factor = max(1 / MOST_FACTOR, min(self.factor * math.exp(MEAN_GAIN * error), MOST_FACTOR))
        self.below = _held(self.below + RANGE_GAIN * ((waited < promise.low) - BEYOND))
        self.above = _held(self.above + RANGE_GAIN * ((waited > promise.high) - BEYOND))


def _held(deviates: float) -> float:
    return max(LEAST_END, min(deviates, MOST_END))


@dataclass(slots=True)
class Accuracy:
    """What came of the promises of one queue: a fold over (promise, real wait). Bookkeeping: it changes.

    Means are 0 before the first promise.
    """

    promises: int = 0
    kept: int = 0
    """Real waits inside the promised range."""
    error: float = 0.0
    """Sum of |real - mean|, seconds."""
    bias: float = 0.0
    """Sum of (mean - real), seconds: positive when too long a wait was promised."""
    waited: float = 0.0
    """Sum of the real waits."""

    def settle(self, promise: ExpectedWait, waited: float) -> None:
        """One promise met what really was."""
        self.promises += 1
        self.kept += promise.low <= waited <= promise.high
        self.error += abs(waited - promise.mean)
        self.bias += promise.mean - waited
        self.waited += waited

    @property
    def mean_error(self) -> float:
        """Seconds promised too much in the mean; below 0: too little."""
        return self.bias / self.promises if self.promises else 0.0

    @property
    def mean_absolute_error(self) -> float:
        """Seconds a promise was off in the mean."""
        return self.error / self.promises if self.promises else 0.0

    @property
    def mean_wait(self) -> float:
        """Seconds really waited in the mean."""
        return self.waited / self.promises if self.promises else 0.0

    @property
    def inside(self) -> float:
        """Share of real waits within the promised range; 0.8 is aimed at."""
        return self.kept / self.promises if self.promises else 0.0

    @property
    def relative_error(self) -> float:
        """Mean absolute error over mean wait: what a promise is off, as a share; 1 is as good as promising nothing."""
        return self.error / self.waited if self.waited > 0 else 0.0

    @property
    def relative_bias(self) -> float:
        """Mean promise over mean wait, less one."""
        return self.bias / self.waited if self.waited > 0 else 0.0

    def __add__(self, other: Accuracy) -> Accuracy:
        """The promises of both together: of several queues, or of several days."""
        return Accuracy(
            promises=self.promises + other.promises,
            kept=self.kept + other.kept,
            error=self.error + other.error,
            bias=self.bias + other.bias,
            waited=self.waited + other.waited,
        )


def accuracy(settled: Iterable[tuple[ExpectedWait, float]]) -> Accuracy:
    """What came of these promises, each with the seconds really waited."""
    out = Accuracy()
    for promise, waited in settled:
        out.settle(promise, waited)
    return out


class Estimates:
    """What was learned of each queue, and the waits that follow from it. One owner; synchronous."""

    def __init__(self) -> None:
        self._handling: dict[QueueName, Handling] = {}
        self._patience: dict[QueueName, Patience] = {}
        self._calibration: dict[QueueName, Calibration] = {}
        self.accuracy: dict[QueueName, Accuracy] = {}

    # --- learning ---------------------------------------------------------------------------------------------

    def handled(self, queue: QueueName, seconds: float) -> None:
        """An agent was busy with a call of the queue for so long, the work after it included."""
        if seconds > 0:
            self._handling.setdefault(queue, Handling()).see(seconds)

    def left(self, queue: QueueName, waited: float, *, abandoned: bool) -> None:
        """A caller waits no more: answered, or (`abandoned`) gave up."""
        self._patience.setdefault(queue, Patience()).see(max(0.0, waited), abandoned=abandoned)

    def settled(self, queue: QueueName, promise: ExpectedWait, waited: float) -> None:
        """A caller who was promised this when joining has been answered after `waited` seconds."""
        self.accuracy.setdefault(queue, Accuracy()).settle(promise, waited)
        self._calibration.setdefault(queue, Calibration()).see(promise, waited)

    # --- asking -----------------------------------------------------------------------------------------------

    def handling(self, queue: QueueName) -> Handling:
        """What is known of the queue's handling times."""
        return self._handling.get(queue) or Handling()

    def patience(self, queue: QueueName) -> Patience:
        """What is known of the queue's callers' patience."""
        return self._patience.get(queue) or Patience()

    def calibration(self, queue: QueueName) -> Calibration:
        """What promises to the queue's callers taught."""
        return self._calibration.get(queue) or Calibration()

    def servers(
        self, queue: QueueName, agents: Mapping[tuple[QueueName, ...], int], waiting: Mapping[QueueName, int]
    ) -> float:
        """How many agents a caller who joins the queue now may count on, shared ones by share.

        `agents` counts those at work by the queues they serve (who serves neither this queue nor any it shares agents with
        does not matter), `waiting` the callers in line now; one more is taken to be in this queue.
        """
        teams: Counter[frozenset[QueueName]] = Counter()
        for served, count in agents.items():
            teams[frozenset(served)] += count
        work = {name: waiting.get(name, 0) * self.handling(name).mean for served in teams for name in served}
        work[queue] = work.get(queue, 0.0) + self.handling(queue).mean
        return divided(work, teams)[queue]

    def wait(self, queue: QueueName, ahead: int, servers: float) -> ExpectedWait | None:
        """The expected wait of a caller with `ahead` callers before; None when nobody serves. At once for any place.

        Everybody who serves is taken to be busy.
        """
        if servers <= 0:
            return None
        handling, theta = self.handling(queue), self.patience(queue).rate
        mean, variance = _departures(ahead + 1, servers / handling.mean, theta)
        # One server ends calls as regularly as they are long; many together end them like chance.
        regular = 1 + (handling.spread - 1) / max(1.0, servers)
        unsure = handling.spread / handling.weight
        return _range(mean, variance * regular + mean * mean * unsure, self.calibration(queue))


def divided(work: Mapping[QueueName, float], teams: Mapping[frozenset[QueueName], int]) -> dict[QueueName, float]:
    """How many agents each queue gets when its `work` (seconds of handling in line) shall be done at the same time in all.

    `teams` counts agents by the queues they serve. A queue whose own agents are quicker than the others' gets no shared one.
    """
    got = dict.fromkeys(work, 0.0)
    shared: list[tuple[frozenset[QueueName], int, dict[QueueName, float]]] = []
    for served, count in teams.items():
        if len(served) > 1:
            shared.append((served, count, dict.fromkeys(served, 0.0)))
        for name in served if len(served) == 1 else ():
            got[name] += count
    for _ in range(ROUNDS if len(shared) > 1 else 1):
        for served, count, part in shared:
            for name in served:
                got[name] -= part[name]
            part.update(_poured(work, got, served, count))
            for name in served:
                got[name] += part[name]
    return got


def _poured(
    work: Mapping[QueueName, float], got: Mapping[QueueName, float], served: Iterable[QueueName], count: float
) -> dict[QueueName, float]:
    """`count` agents divided among queues that have some already, so that work over agents becomes even."""
    out = dict.fromkeys(served, 0.0)
    # Those who need them most come first; who has agents enough without them drops out.
    taking = sorted(out, key=lambda name: (got[name] / work[name] if work[name] > 0 else math.inf, name))
    while taking:
        whole = math.fsum(work[name] for name in taking)
        agents = count + math.fsum(got[name] for name in taking)
        last = taking[-1]
        if len(taking) > 1 and whole > 0 and work[last] / whole * agents <= got[last]:
            taking.pop()
            continue
        for name in taking:
            out[name] = work[name] / whole * agents - got[name] if whole > 0 else count / len(taking)
        break
    return out


def staged(stages: Sequence[tuple[ExpectedWait | None, float]]) -> ExpectedWait | None:
    """The wait of a caller whom others may serve, too, after a while.

    Each stage: the wait if it lasted for ever (None: nobody serves), and in how many seconds from now it ends, in
    ascending order, the last one never (`inf`). What is left of the wait when a stage ends goes on at the next one's pace.
    """
    begun, left = 0.0, 1.0
    low = mean = high = 0.0
    for wait, ends in stages:
        lasts = max(0.0, ends - begun)
        if wait is None:
            if ends == math.inf:
                return None
            low, mean, high = low + lasts, mean + lasts, high + lasts
        else:
            part = min(left, lasts / wait.mean) if wait.mean > 0 else left
            low, mean, high = low + part * wait.low, mean + part * wait.mean, high + part * wait.high
            left -= part
            if left <= 0:
                break
        begun = max(begun, ends)
    return ExpectedWait(low=low, mean=mean, high=high)


def _departures(count: int, serving: float, theta: float) -> tuple[float, float]:
    """Mean and variance of the time until `count` departures: the sums of 1/(serving + k*theta) and of its square."""
    if theta * count < 1e-9 * serving:
        return count / serving, count / serving**2
    first = serving / theta + 1
    mean = (_digamma(first + count) - _digamma(first)) / theta
    return mean, (_trigamma(first) - _trigamma(first + count)) / theta**2


def _digamma(x: float) -> float:
    """Of a positive x, by its asymptotic series from 8 on; to about 1e-10."""
    below = 0.0
    while x < 8:
        below += 1 / x
        x += 1
    square = 1 / (x * x)
    return math.log(x) - 0.5 / x - square * (1 / 12 - square * (1 / 120 - square / 252)) - below


def _trigamma(x: float) -> float:
    """Of a positive x, likewise."""
    below = 0.0
    while x < 8:
        below += 1 / (x * x)
        x += 1
    square = 1 / (x * x)
    return 1 / x + square / 2 + (square / x) * (1 / 6 - square * (1 / 30 - square / 42)) + below


def _range(mean: float, variance: float, learned: Calibration) -> ExpectedWait:
    """The middle of the gamma distribution with this mean and variance (Wilson and Hilferty's approximation), with the
    learned factor and ends."""
    mean *= learned.factor
    if variance <= 0:
        return ExpectedWait(low=mean, mean=mean, high=mean)
    variance *= learned.factor**2
    shape = mean * mean / variance
    centre, width = 1 - 1 / (9 * shape), 1 / (3 * math.sqrt(shape))
    low, high = max(0.0, centre - learned.below * width) ** 3, (centre + learned.above * width) ** 3
    return ExpectedWait(low=mean * min(low, 1.0), mean=mean, high=mean * max(high, 1.0))
