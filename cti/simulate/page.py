"""Figures as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cti.simulate.figures import Figures, Row

BAR = 40
LONGEST_PLOT = 48
"""Half hours that are plotted; of a longer run the first day."""
HEAD = f"{'':24}{'callers':>9}{'answered':>9}{'hung up':>8}{'in time':>9}{'mean':>8}{'p50':>8}{'p95':>8}{'longest':>9}"


def page(run: Figures) -> str:
    """The figures of one run: a table, and a bar for each half hour."""
    return "\n".join([*_summary(run), "", *_plot(run)])


def comparison(one: Figures, other: Figures) -> str:
    """Two runs side by side, and what the other changes."""
    lines = [*_summary(one), "", *_summary(other), "", f"{other.name} against {one.name}:"]
    named = {row.title: row for row in other.kinds}
    pairs = [(one.total, other.total)] + [(row, named[row.title]) for row in one.kinds if row.title in named]
    for before, after in pairs:
        lines.append(
            f"  {before.title:22} in time {100 * before.in_time:5.1f} % -> {100 * after.in_time:5.1f} %"
            f"   mean {before.mean:.1f} s -> {after.mean:.1f} s   p95 {before.p95:.1f} s -> {after.p95:.1f} s"
            f"   hung up {before.abandoned} -> {after.abandoned}"
        )
    lines.append(f"  {'occupancy':22} {100 * one.occupancy:.1f} % -> {100 * other.occupancy:.1f} %")
    return "\n".join(lines)


def _summary(run: Figures) -> Iterator[str]:
    yield f"{run.name}: {run.agents} agents, {100 * run.occupancy:.1f} % of their time with calls (waits in seconds)"
    yield HEAD
    yield from _rows((run.total, *(run.kinds if len(run.kinds) > 1 else ())))
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
