"""Closed forms of queueing theory, to hold simulations against.

Everywhere: `s` servers, offered load `a` (Erlang), mean handling time `t` (seconds, exponential), Poisson callers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# --- Erlang C: nobody gives up, first come first served


def erlang_c(s: int, a: float) -> float:
    """The probability of having to wait."""
    blocking = 1.0
    for n in range(1, s + 1):
        blocking = a * blocking / (n + a * blocking)
    return blocking / (1 - a / s * (1 - blocking))


def mean_wait(s: int, a: float, t: float) -> float:
    return erlang_c(s, a) * t / (s - a)


def service_level(s: int, a: float, t: float, within: float) -> float:
    return 1 - erlang_c(s, a) * math.exp(-(s - a) * within / t)


def wait_quantile(s: int, a: float, t: float, share: float) -> float:
    return max(math.log(erlang_c(s, a) / (1 - share)) * t / (s - a), 0.0)


# --- Cobham (1954): classes of strict priority, not preemptive


def class_waits(s: int, a: float, t: float, shares: Sequence[float]) -> tuple[float, ...]:
    """Mean waits of the classes, the highest first; `shares` of all callers add up to 1."""
    residual = erlang_c(s, a) * t / s
    out, above = [], 0.0
    for share in shares:
        upto = above + share * a / s
        out.append(residual / ((1 - above) * (1 - upto)))
        above = upto
    return tuple(out)


def first_class_quantile(s: int, a: float, t: float, first: float, share: float) -> float:
    """Of the first class: who waits at all waits an exponential time, as if theirs were the only callers."""
    return max(math.log(erlang_c(s, a) / (1 - share)) * t / (s - first * a), 0.0)


# --- Erlang A (Palm): callers give up after an exponential time


@dataclass(frozen=True)
class ErlangA:
    waits: float
    """Probability of having to wait."""
    abandons: float
    """Probability of giving up."""
    mean_time: float
    """Mean time waited by all callers."""
    mean_served: float
    """Mean wait of those served."""
    in_time: float
    """Probability of being served within the given time."""


def erlang_a(s: int, a: float, t: float, patience: float, within: float = 20.0) -> ErlangA:
    """Stationary birth-death chain, summed up numerically; it needs no a < s.

    A caller with k in line before has k + 1 departures to go: at rates s/t + k/patience, ..., s/t. Their sum is
    -patience * log(B) with B ~ Beta(s * patience / t, k + 1).
    """
    mu, theta, rate = 1 / t, 1 / patience, a / t
    weights, n, top = [1.0], 0, 1.0
    while n < 2 * s + 50 or weights[-1] > 1e-16 * top:
        n += 1
        weights.append(weights[-1] * rate / (min(n, s) * mu + max(n - s, 0) * theta))
        top = max(top, weights[-1])
        if top > 1e200:
            weights, top = [w / top for w in weights], 1.0
    whole = math.fsum(weights)
    behind = [w / whole for w in weights[s:]]  # k in line before
    line = math.fsum(k * p for k, p in enumerate(behind))
    serving = s * mu
    served_k = [serving / (serving + (k + 1) * theta) for k in range(len(behind))]
    served_waited = [p * q for p, q in zip(behind, served_k, strict=True)]
    mean_k, so_far = [], 0.0
    for k in range(len(behind)):
        so_far += 1 / (serving + (k + 1) * theta)
        mean_k.append(so_far)
    served = 1 - theta * line / rate
    waited = math.fsum(p * m for p, m in zip(served_waited, mean_k, strict=True))
    return ErlangA(
        waits=math.fsum(behind),
        abandons=theta * line / rate,
        mean_time=line / rate,
        mean_served=waited / served,
        in_time=1 - math.fsum(behind) + _served_within(behind, serving / theta, theta, within),
    )


def _served_within(behind: Sequence[float], c: float, theta: float, within: float, steps: int = 400) -> float:
    """Sum over k of P(k) * integral of exp(-theta*u) times the density of -log(Beta(c, k + 1))/theta, to `within`."""
    within = min(within, 50 / theta)  # beyond that nobody is left
    logs = [math.lgamma(c + k + 1) - math.lgamma(c) - math.lgamma(k + 1) for k in range(len(behind))]

    def density(u: float) -> float:
        if u == 0:
            return behind[0] * theta * c
        log_x, log_y = -theta * u, math.log(-math.expm1(-theta * u))
        return math.exp(log_x) * math.fsum(
            p * theta * math.exp(log + c * log_x + k * log_y)
            for k, (p, log) in enumerate(zip(behind, logs, strict=True))
            if p > 1e-15
        )

    width = within / steps
    odd = math.fsum(density((2 * n + 1) * width) for n in range(steps // 2))
    even = math.fsum(density(2 * n * width) for n in range(1, steps // 2))
    return width / 3 * (density(0.0) + density(within) + 4 * odd + 2 * even)
