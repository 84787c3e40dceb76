"""No alert flaps, none comes for less than its time, and a restart knows as much as before."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cti.model.alerts import LESS_IS_WORSE, Figure, Level, Threshold, Watch

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FIGURES = st.sampled_from((Figure.WAITING, Figure.SERVICE_LEVEL))
VALUES = st.lists(st.tuples(st.integers(1, 30), st.none() | st.floats(0, 20)), min_size=1, max_size=80)
"""(seconds since the look before, what the figure is)"""


@st.composite
def thresholds(draw: st.DrawFn, figure: Figure) -> Threshold:
    mild, bad = sorted((draw(st.floats(2, 18)), draw(st.floats(2, 18))), reverse=figure in LESS_IS_WORSE)
    return Threshold(
        warn=mild, critical=bad, back=draw(st.floats(0, 5)), hold=timedelta(seconds=draw(st.integers(0, 60)))
    )


def run(figure: Figure, threshold: Threshold, values: list[tuple[int, float | None]]) -> list[tuple[datetime, Watch]]:
    now, watch, seen = BEGIN, Watch(), []
    for seconds, value in values:
        now += timedelta(seconds=seconds)
        watch = watch.step(figure, threshold, value, now)
        seen.append((now, watch))
    return seen


@given(data=st.data(), figure=FIGURES, values=VALUES)
def test_a_latch_turns_at_most_once_in_its_hold(
    data: st.DataObject, figure: Figure, values: list[tuple[int, float | None]]
) -> None:
    threshold = data.draw(thresholds(figure))
    seen = run(figure, threshold, values)
    for latch in ("warn", "critical"):
        turned = [
            at
            for (_, before), (at, after) in zip([(BEGIN, Watch()), *seen], seen, strict=False)
            if getattr(before, latch).on != getattr(after, latch).on
        ]
        assert all(later - earlier >= threshold.hold for earlier, later in itertools.pairwise(turned))


@given(data=st.data(), figure=FIGURES, values=VALUES)
def test_between_the_threshold_and_the_way_back_nothing_turns(
    data: st.DataObject, figure: Figure, values: list[tuple[int, float | None]]
) -> None:
    threshold = data.draw(thresholds(figure))
    sign = -1 if figure in LESS_IS_WORSE else 1
    limit = threshold.warn
    assert limit is not None
    # Everything lies in the band of `warn`: not as bad as the threshold, not better by more than the way back.
    inside = [(seconds, limit - sign * threshold.back * 0.5 - sign * 1e-9) for seconds, _ in values]
    only_warn = Threshold(warn=limit, back=max(threshold.back, 0.1), hold=threshold.hold)
    for start in (Watch(), Watch.at(Level.WARN, only_warn)):
        now, watch = BEGIN, start
        for seconds, value in inside:
            now += timedelta(seconds=seconds)
            watch = watch.step(figure, only_warn, value, now)
            assert watch.level is start.level


@given(data=st.data(), figure=FIGURES, values=VALUES)
def test_it_is_raised_only_after_the_figure_was_bad_all_the_while(
    data: st.DataObject, figure: Figure, values: list[tuple[int, float | None]]
) -> None:
    threshold = data.draw(thresholds(figure))
    limit = threshold.warn
    assert limit is not None
    seen = run(figure, threshold, values)
    for index, (at, watch) in enumerate(seen):
        if not watch.warn.on or (index and seen[index - 1][1].warn.on):
            continue
        bad_since = at
        for (moment, _), (_, value) in zip(reversed(seen[: index + 1]), reversed(values[: index + 1]), strict=True):
            worse = value is not None and (value <= limit if figure in LESS_IS_WORSE else value >= limit)
            if not worse:
                break
            bad_since = moment
        assert at - bad_since >= threshold.hold


@given(data=st.data(), figure=FIGURES, value=st.none() | st.floats(0, 20), level=st.sampled_from(Level))
def test_what_stays_ends_where_it_belongs(
    data: st.DataObject, figure: Figure, value: float | None, level: Level
) -> None:
    """A figure that stands still for long enough: bad is raised, better by the way back is over, whatever was before."""
    threshold = data.draw(thresholds(figure))
    watch = Watch.at(level, threshold)
    for step in range(3):
        watch = watch.step(figure, threshold, value, BEGIN + step * (threshold.hold + timedelta(seconds=1)))
    assert threshold.warn is not None
    assert threshold.critical is not None

    def worse(limit: float) -> float:
        if value is None:
            return -100.0
        return limit - value if figure in LESS_IS_WORSE else value - limit

    for limit, on in ((threshold.warn, watch.warn.on), (threshold.critical, watch.critical.on)):
        if worse(limit) >= 0:
            assert on
        elif worse(limit) <= -threshold.back:
            assert not on
