"""Figures as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cti.simulate.compare import Change, Changes
from cti.simulate.figures import Figures, Row

BAR = 40
LONGEST_PLOT = 48
"""Half hours that are plotted; of a longer run the first day."""
HEAD = f"{'':24}{'callers':>9}{'answered':>9}{'hung up':>8}{'in time':>9}{'mean':>8}{'p50':>8}{'p95':>8}{'longest':>9}"


def page(run: Figures) -> str:
    """The figures of one run: a table, and a bar for each half hour."""
    return "\n".join([*_summary(run), "", *_plot(run)])


def comparison(one: Figures, other: Figures, changes: Sequence[Changes]) -> str:
    """Two runs, and what the other changes: differences with a sign and their standard error."""
    lines = [*_summary(one), "", *_summary(other), "", f"{other.name} against {one.name}, each caller against itself:"]
    lines.append(f"{'':24}{'in time':>25}{'waited by all':>25}{'hung up':>25}")
    lines += [
        f"{row.title[:23]:24}{_told(row.in_time, '%', 100):>25}{_told(row.waited, 's'):>25}"
        f"{_told(row.hung_up, '%', 100):>25}"
        for row in changes
    ]
    named = {row.title: row for row in other.kinds}
    for before in (one.total, *(row for row in one.kinds if len(one.kinds) > 1)):
        after = other.total if before is one.total else named.get(before.title)
        if after is not None:
            lines.append(
                f"{before.title[:23]:24}mean of those answered {before.mean:.1f} s -> {after.mean:.1f} s"
                f" ({after.mean - before.mean:+.1f})   p95 {before.p95:.1f} s -> {after.p95:.1f} s"
                f" ({after.p95 - before.p95:+.1f})"
            )
    more = 100 * (other.occupancy - one.occupancy)
    lines.append(f"{'occupancy':24}{100 * one.occupancy:.1f} % -> {100 * other.occupancy:.1f} % ({more:+.1f})")
    return "\n".join(lines)


def _told(change: Change, unit: str, times: float = 1.0) -> str:
    sure = f" +-{times * change.error:.1f}" if change.error is not None else ""
    return f"{times * change.before:.1f} {times * change.difference:+.1f}{sure} {unit}"


def _summary(run: Figures) -> Iterator[str]:
    yield f"{run.name}: {run.agents} agents, {100 * run.occupancy:.1f} % of their time with calls (waits in seconds)"
    yield HEAD
    yield from _rows((run.total, *(run.kinds if len(run.kinds) > 1 else ())))
    for row in (run.total, *(run.kinds if len(run.kinds) > 1 else ())):
        if row.elsewhere:
            yield f"{row.title[:23]:24}{row.elsewhere:>9} sent elsewhere by the queue's rules"
    if run.total.unserved:
        yield f"{run.total.unserved} caller(s) were never served: nobody came on duty who might have"


def _rows(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield (
            f"{row.title[:23]:24}{row.offered:>9}{row.answered:>9}{row.abandoned:>8}{100 * row.in_time:>7.1f} %"
            f"{row.mean:>8.1f}{row.p50:>8.1f}{row.p95:>8.1f}{row.longest:>9.1f}"
        )


def _plot(run: Figures) -> Iterator[str]:
    most = max((row.mean for row in run.half_hours), default=0.0)
    yield f"{'':7}{'callers':>8}{'in time':>9}{'mean wait':>11}"
    for row in run.half_hours[:LONGEST_PLOT]:
        bar = "#" * round(BAR * row.mean / most) if most else ""
        yield f"{row.title:7}{row.offered:>8}{100 * row.in_time:>7.1f} %{row.mean:>9.1f} s  {bar}".rstrip()
