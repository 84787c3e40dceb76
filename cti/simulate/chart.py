"""Figures as a picture: one self-contained SVG, or an HTML page with it and the tables. No script, nothing from elsewhere.

Three panels by half hour: callers, share answered in time, mean wait; each run is a line, the first solid, the second
dashed, in two colours that the colour-blind tell apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from cti.simulate.compare import Change, Changes
from cti.simulate.figures import Figures, Row

WIDTH, PANEL, LEFT, RIGHT, GAP, TOP = 960, 150, 64, 16, 46, 44
STROKES = (("#0072b2", ""), ("#d55e00", "7 4"), ("#009e73", "2 3"), ("#cc79a7", "9 3 2 3"))
"""Colour and dashes of each run (Okabe and Ito's colours)."""
STYLE = """svg text{font:12px system-ui,sans-serif;fill:#222}svg .small{font-size:11px;fill:#555}
svg .grid{stroke:#ddd;stroke-width:1}svg .line{fill:none;stroke-width:2}"""
PAGE_STYLE = """body{font:15px/1.45 system-ui,sans-serif;color:#222;background:#fff;margin:2rem auto;max-width:62rem;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}th,td{padding:.2rem .7rem;text-align:right}
th{border-bottom:1px solid #888}td:first-child,th:first-child{text-align:left}caption{text-align:left;font-weight:600}
svg{max-width:100%;height:auto}details{margin:1rem 0}"""


def svg(runs: Sequence[Figures]) -> str:
    """The picture of one run, or of several overlaid, as a file of its own."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _picture(runs)


def html(runs: Sequence[Figures], changes: Sequence[Changes] = ()) -> str:
    """A page with the picture, the figures of each run, what the second changes, and the half hours as a table."""
    title = escape(" / ".join(run.name for run in runs))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{PAGE_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        _picture(runs),
        *(_table(run, (run.total, *(run.kinds if len(run.kinds) > 1 else ()))) for run in runs),
        *([_changes_table(runs, changes)] if changes else []),
        "<details><summary>By half hour</summary>",
        *(_table(run, run.half_hours) for run in runs),
        "</details></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _picture(runs: Sequence[Figures]) -> str:
    panels: tuple[tuple[str, Callable[[Row], float | None], float], ...] = (
        ("callers in the half hour", lambda row: float(row.offered), 0.0),
        ("answered in time, %", lambda row: 100 * row.in_time if row.offered else None, 100.0),
        ("mean wait of those answered, seconds", lambda row: row.mean if row.answered else None, 0.0),
    )
    height = TOP + len(panels) * (PANEL + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
        f' aria-label="{escape("Callers, service level and waits by half hour: " + ", ".join(r.name for r in runs))}">',
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *_legend(runs),
    ]
    for number, (title, figure, most) in enumerate(panels):
        top = TOP + number * (PANEL + GAP) + 14
        values = [[figure(row) for row in run.half_hours] for run in runs]
        lines += _panel(title, values, [row.title for row in runs[0].half_hours], top, most)
    return "\n".join([*lines, "</svg>"])


def _legend(runs: Sequence[Figures]) -> Iterator[str]:
    at = LEFT
    for number, run in enumerate(runs):
        name = run.name if len(run.name) <= 40 else run.name[:39] + "…"
        yield f'<path class="line" d="M{at} 18h34" {_stroke(number)}/><text x="{at + 40}" y="22">{escape(name)}</text>'
        at += 60 + 8 * len(name)


def _panel(
    title: str, values: Sequence[Sequence[float | None]], clock: Sequence[str], top: float, most: float
) -> Iterator[str]:
    """One panel: grid, scale, and a line for each run; it is broken where there is nothing to tell."""
    highest = most or _ceiling(max((v for run in values for v in run if v is not None), default=0.0))
    count = max(*map(len, values), 1)
    step = (WIDTH - LEFT - RIGHT) / count
    yield f'<text x="{LEFT}" y="{top - 6:.0f}">{escape(title)}</text>'
    for part in range(5):
        y = top + PANEL * (1 - part / 4)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="small" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{highest * part / 4:g}</text>'
    every = max(1, math.ceil(count / 16))
    for n in range(0, len(clock), every):
        x = LEFT + (n + 0.5) * step
        yield f'<text class="small" x="{x:.1f}" y="{top + PANEL + 15:.0f}" text-anchor="middle">{escape(clock[n])}</text>'
    for number, run in enumerate(values):
        drawn, path = False, []
        for n, value in enumerate(run):
            if value is not None:
                x, y = LEFT + (n + 0.5) * step, top + PANEL * (1 - min(value / highest, 1.0))
                path.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}")
            drawn = value is not None
        if path:
            # A round cap shows a half hour that stands alone.
            yield f'<path class="line" stroke-linecap="round" d="{"".join(path)}h.01" {_stroke(number)}/>'


def _stroke(number: int) -> str:
    colour, dashes = STROKES[number % len(STROKES)]
    return f'stroke="{colour}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _ceiling(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten, so that quarters of it are round."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10, 20) if step * power >= value)


def _table(run: Figures, rows: Sequence[Row]) -> str:
    head = ("", "callers", "answered", "hung up", "elsewhere", "in time", "mean", "p50", "p95", "longest")
    caption = (
        f"{run.name}: {run.agents} agents, {100 * run.occupancy:.1f} % of their time with calls (waits in seconds)"
    )
    lines = [f"<table><caption>{escape(caption)}</caption><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>"]
    for row in rows:
        cells = (
            escape(row.title), str(row.offered), str(row.answered), str(row.abandoned), str(row.elsewhere), f"{100 * row.in_time:.1f} %",
            f"{row.mean:.1f}", f"{row.p50:.1f}", f"{row.p95:.1f}", f"{row.longest:.1f}",
        )  # fmt: skip
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return "\n".join([*lines, "</table>"])


def _changes_table(runs: Sequence[Figures], changes: Sequence[Changes]) -> str:
    caption = f"What {runs[-1].name} changes against {runs[0].name} (± standard error, each caller against itself)"
    head = ("", "in time", "waited by all", "hung up")
    lines = [f"<table><caption>{escape(caption)}</caption><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>"]
    for row in changes:
        cells = (
            escape(row.title), told(row.in_time, "%", 100), told(row.waited, "s"), told(row.hung_up, "%", 100)
        )  # fmt: skip
        lines.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return "\n".join([*lines, "</table>"])


def told(change: Change, unit: str, times: float = 1.0) -> str:
    """A difference in words: with a sign, and its standard error where there is one."""
    sure = f" ±{times * change.error:.1f}" if change.error is not None else ""
    return f"{times * change.difference:+.1f}{sure} {unit}"
