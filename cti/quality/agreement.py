"""How far scorers of the same call agree: percent agreement, weighted kappa, and the intraclass correlation ICC(2,1).

Sources: Cohen 1968 (weighted kappa); Shrout and Fleiss 1979 (ICC, case 2: raters are a sample of those there could be,
agreement is absolute). None stands for "not defined": too little, or no differences that could be agreed on.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import TypeVar

Value = TypeVar("Value", bound=Hashable)


def percent_agreement(ratings: Sequence[Value | None]) -> float | None:
    """Share of pairs of raters who said the same of one thing, 0 to 1. Who said nothing (None) is in no pair."""
    given = [one for one in ratings if one is not None]
    pairs = [a == b for a, b in combinations(given, 2)]
    return sum(pairs) / len(pairs) if pairs else None


def weighted_kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Agreement of two raters beyond chance, with quadratic weights: 1 always the same, 0 as chance would have it.

    `pairs` are numbers on one scale. None when each of them always said the same one thing.
    """
    if not pairs:
        return None
    observed = fmean((a - b) ** 2 for a, b in pairs)
    ones, others = [a for a, _ in pairs], [b for _, b in pairs]
    # The mean of (a - b)^2 over all combinations, without going through them.
    expected = fmean(a * a for a in ones) + fmean(b * b for b in others) - 2 * fmean(ones) * fmean(others)
    return 1 - observed / expected if expected > 1e-12 else None


def icc(table: Sequence[Sequence[float]]) -> float | None:
    """ICC(2,1) of a whole table: a row a thing that was rated, a column a rater. None under two rows or two raters, or
    when nothing differs at all."""
    rows, raters = len(table), len(table[0]) if table else 0
    if rows < 2 or raters < 2:
        return None
    mean = fmean(value for row in table for value in row)
    row_means = [fmean(row) for row in table]
    rater_means = [fmean(row[k] for row in table) for k in range(raters)]
    between_rows = raters * sum((one - mean) ** 2 for one in row_means)
    between_raters = rows * sum((one - mean) ** 2 for one in rater_means)
    whole = sum((value - mean) ** 2 for row in table for value in row)
    if whole <= 1e-12:
        return None
    error = max(0.0, whole - between_rows - between_raters)
    msr = between_rows / (rows - 1)
    msc = between_raters / (raters - 1)
    mse = error / ((rows - 1) * (raters - 1))
    below = msr + (raters - 1) * mse + raters * (msc - mse) / rows
    return (msr - mse) / below if below > 1e-12 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAgreement:
    """One item: what each scorer said, and how far they agree, 0 to 1. `spread`: most less least of the shares."""

    name: str
    said: Mapping[str, int | str]
    agreement: float | None
    spread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Two scorers over the items that both of them scored."""

    one: str
    other: str
    items: int
    agreement: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Scorers of one call side by side. `spread` of totals in points."""

    items: tuple[ItemAgreement, ...]
    pairs: tuple[PairAgreement, ...]
    agreement: float | None
    """Over all items and pairs."""
    icc: float | None
    """Over the items that every scorer scored."""
    totals: Mapping[str, float | None]
    spread: float | None


def compare(
    items: Sequence[str],
    said: Mapping[str, Mapping[str, int | str]],
    shares: Mapping[str, Mapping[str, float | None]],
    totals: Mapping[str, float | None],
) -> Comparison:
    """Compare scorers. By scorer: `said` the answers, `shares` what items are worth (None: does not apply), `totals`."""
    scorers = sorted(said)
    rows = []
    for name in items:
        values = {scorer: said[scorer][name] for scorer in scorers if name in said[scorer]}
        worth = [share for scorer in scorers if (share := shares[scorer].get(name)) is not None]
        rows.append(
            ItemAgreement(
                name=name,
                said=values,
                agreement=percent_agreement(list(values.values())),
                spread=max(worth) - min(worth) if len(worth) > 1 else None,
            )
        )
    pairs = []
    for one, other in combinations(scorers, 2):
        both = [name for name in items if name in said[one] and name in said[other]]
        numbers = [
            (a, b)
            for name in both
            if (a := shares[one].get(name)) is not None and (b := shares[other].get(name)) is not None
        ]
        pairs.append(
            PairAgreement(
                one=one,
                other=other,
                items=len(both),
                agreement=fmean(said[one][name] == said[other][name] for name in both) if both else None,
                kappa=weighted_kappa(numbers),
            )
        )
    table = [[share for scorer in scorers if (share := shares[scorer].get(name)) is not None] for name in items]
    whole = [row for row in table if len(row) == len(scorers)]
    weighed = [(pair.agreement, pair.items) for pair in pairs if pair.agreement is not None]
    known = [total for total in totals.values() if total is not None]
    return Comparison(
        items=tuple(rows),
        pairs=tuple(pairs),
        agreement=sum(a * n for a, n in weighed) / sum(n for _, n in weighed) if weighed else None,
        icc=icc(whole) if len(scorers) > 1 else None,
        totals=dict(totals),
        spread=round(max(known) - min(known), 2) if len(known) > 1 else None,
    )
