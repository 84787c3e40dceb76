"""Who may be about to leave: a score from what can be seen, with its reasons.

Each sign is a strength x from 0 to 1, and has a weight w, the score it gives alone when it is as strong as can be. Signs
add up as chances do that are independent of each other:

    score = 100 * (1 - (1 - w1 x1) (1 - w2 x2) ...)

so that every sign raises it, none lowers it, and it never passes 100. The strengths:

- falling: 1 - recent / usual, where `recent` is purchases of the last `window`, `usual` their mean in the three windows
  before; 0 with fewer than `least_orders` purchases in those three
- complaint: the worst unresolved one: low .4, medium .6, high .8, critical 1; overdue: 1
- score: (worst - score) / (worst - 1) with the mean score of surveys in the last `window`, `worst` the highest score that
  still counts as bad
- abandoned: calls of the last `window` in which the customer hung up while waiting, over `abandoned_most`, at most 1
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from cti.casework.complaints import Severity
from cti.casework.reading import Fields, RuleProblem, RulesInvalid
from cti.ids import CustomerId

Sign = Literal["falling", "complaint", "score", "abandoned"]

_BY_SEVERITY = {Severity.LOW: 0.4, Severity.MEDIUM: 0.6, Severity.HIGH: 0.8, Severity.CRITICAL: 1.0}
PERIODS = 3
"""Windows before the last one that make what is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnRules:
    """Weights (0-1) and limits."""

    falling: float = 0.55
    complaint: float = 0.45
    score: float = 0.40
    abandoned: float = 0.30
    window: timedelta = timedelta(days=60)
    least_orders: int = 3
    bad_score: float = 3.0
    """Survey scores (1-5) below it are bad; the worst is 1."""
    abandoned_most: int = 3
    threshold: float = 25.0
    """Who has at least this score is on the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What can be seen of one customer."""

    customer_id: CustomerId
    recent_orders: int = 0
    earlier_orders: int = 0
    """In the three windows before the last."""
    complaint: Severity | None = None
    """The worst unresolved one."""
    complaint_overdue: bool = False
    mean_score: float | None = None
    abandoned: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One sign: how strong (0-1), what it gives alone (0-100), and its figures."""

    sign: Sign
    strength: float
    points: float
    figures: tuple[tuple[str, float | str], ...] = ()

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sign": self.sign,
            "strength": round(self.strength, 3),
            "points": round(self.points, 1),
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChurnWarning:
    """A customer's score with its reasons, the strongest first."""

    customer_id: CustomerId
    score: float
    reasons: tuple[Reason, ...]


def warn(rules: ChurnRules, seen: Seen) -> ChurnWarning:
    """The score, and why."""
    reasons = []
    usual = seen.earlier_orders / PERIODS
    if seen.earlier_orders >= rules.least_orders and seen.recent_orders < usual:
        figures = (("recent", seen.recent_orders), ("usual", round(usual, 1)), ("days", rules.window.days))
        reasons.append(_reason("falling", rules.falling, 1 - seen.recent_orders / usual, figures))
    if seen.complaint is not None:
        strength = 1.0 if seen.complaint_overdue else _BY_SEVERITY[seen.complaint]
        complaint = (("severity", str(seen.complaint)), ("overdue", "yes" if seen.complaint_overdue else "no"))
        reasons.append(_reason("complaint", rules.complaint, strength, complaint))
    if seen.mean_score is not None and seen.mean_score < rules.bad_score:
        strength = (rules.bad_score - max(1.0, seen.mean_score)) / (rules.bad_score - 1)
        reasons.append(_reason("score", rules.score, strength, (("mean", round(seen.mean_score, 1)),)))
    if seen.abandoned > 0:
        strength = min(1.0, seen.abandoned / rules.abandoned_most)
        times = (("calls", seen.abandoned), ("days", rules.window.days))
        reasons.append(_reason("abandoned", rules.abandoned, strength, times))
    stays = 1.0
    for reason in reasons:
        stays *= 1 - reason.points / 100
    reasons.sort(key=lambda reason: (-reason.points, reason.sign))
    return ChurnWarning(customer_id=seen.customer_id, score=round(100 * (1 - stays), 1), reasons=tuple(reasons))


def _reason(sign: Sign, weight: float, strength: float, figures: tuple[tuple[str, float | str], ...]) -> Reason:
    return Reason(sign=sign, strength=strength, points=100 * weight * strength, figures=figures)


def read_rules(plain: object) -> ChurnRules:
    """The rules as `docs/casework.md` describes them. Raises `RulesInvalid` with every problem."""
    problems: list[RuleProblem] = []
    at = Fields(plain, problems)
    usual = ChurnRules()
    weights = at.inside("weights")
    rules = ChurnRules(
        **{
            sign: weights.number(sign, getattr(usual, sign), most=1.0)
            for sign in ("falling", "complaint", "score", "abandoned")
        },
        window=timedelta(days=at.whole("window_days", usual.window.days, least=7, most=730)),
        least_orders=at.whole("least_orders", usual.least_orders, least=1, most=1000),
        bad_score=at.number("bad_score", usual.bad_score, least=1.1, most=10),
        abandoned_most=at.whole("abandoned_most", usual.abandoned_most, least=1, most=100),
        threshold=at.number("threshold", usual.threshold, least=0.1, most=100),
    )
    weights.done()
    at.done()
    if problems:
        raise RulesInvalid(problems)
    return rules


def plain(rules: ChurnRules) -> dict[str, Any]:
    """The rules as JSON: `read_rules` reads it again."""
    return {
        "weights": {sign: getattr(rules, sign) for sign in ("falling", "complaint", "score", "abandoned")},
        "window_days": rules.window.days,
        "least_orders": rules.least_orders,
        "bad_score": rules.bad_score,
        "abandoned_most": rules.abandoned_most,
        "threshold": rules.threshold,
    }
