"""A flow as a picture: steps in layers from the start down, exits as lines between them.

Layout after Sugiyama, Tagawa and Toda (1981), with the simplest choice at each stage: layers by the longest way from the
start without going round a circle, order within a layer by the mean place of those above (four sweeps), no bends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape

from cti.ivr.flow import Flow, Step

BOX_WIDTH, BOX_HEIGHT = 176, 46
PASS_WIDTH, BACK_WIDTH = 62, 46
GAP_ACROSS, GAP_DOWN = 28, 74
MARGIN = 24
SWEEPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A step. `x`, `y`: its upper left corner, in pixels."""

    step: str
    verb: str
    detail: str
    x: float
    y: float
    ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The exits that lead from one step to another."""

    of: str
    to: str
    exits: tuple[str, ...]
    labels: tuple[str, ...]
    """What people call these exits: a menu's words for its keys."""
    back: bool
    """Whether it leads up again."""
    through: tuple[tuple[float, float], ...] = ()
    """Places beside the boxes it passes: the line goes straight down from each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The picture's parts, laid out."""

    flow: str
    title: str
    version: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What calls did in a flow: how many came to each step, left it by each exit, and hung up in it."""

    came: Mapping[str, int] = field(default_factory=dict)
    left: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    """By (step, exit, next step)."""
    gone: Mapping[str, int] = field(default_factory=dict)


def draw(flow: Flow) -> Drawing:
    """Lay a flow out. Steps nothing leads to are at the top."""
    layers = _layers(flow)
    lines = _lines(flow, layers)
    rows: list[list[str]] = [[] for _ in range(max(layers.values(), default=0) + 1)]
    for name in flow.steps:
        rows[layers[name]].append(name)
    above: dict[str, list[str]] = {name: [] for name in flow.steps}
    passes: dict[tuple[str, str], list[str]] = {}
    for line in lines:
        if line.back:
            continue
        # A line over several layers gets a place of its own in each, so that it goes beside the boxes and not behind them.
        last = line.of
        for depth in range(layers[line.of] + 1, layers[line.to]):
            place = f"{line.of} {line.to} {depth}"
            rows[depth].append(place)
            above[place] = [last]
            passes.setdefault((line.of, line.to), []).append(place)
            last = place
        above[line.to].append(last)
    _order(rows, above)
    width = 2 * MARGIN + max((_width(row, flow) for row in rows), default=BOX_WIDTH) + BACK_WIDTH
    spots: dict[str, tuple[float, float]] = {}
    for depth, row in enumerate(rows):
        x = (width - BACK_WIDTH - _width(row, flow)) / 2
        for name in row:
            own = BOX_WIDTH if name in flow.steps else PASS_WIDTH
            spots[name] = (x, MARGIN + depth * (BOX_HEIGHT + GAP_DOWN))
            x += own + GAP_ACROSS
    return Drawing(
        flow=flow.name,
        title=flow.title,
        version=flow.version,
        width=width,
        height=2 * MARGIN + len(rows) * BOX_HEIGHT + max(0, len(rows) - 1) * GAP_DOWN,
        boxes=tuple(
            Box(
                step=name, verb=step.verb, detail=_detail(step), x=spots[name][0], y=spots[name][1], ends=step.ends_flow
            )
            for name, step in flow.steps.items()
        ),
        lines=tuple(
            replace(
                line,
                through=tuple(
                    (spots[place][0] + PASS_WIDTH / 2, spots[place][1]) for place in passes.get((line.of, line.to), ())
                ),
            )
            for line in lines
        ),
    )


def _width(row: Sequence[str], flow: Flow) -> float:
    boxes = sum(BOX_WIDTH if name in flow.steps else PASS_WIDTH for name in row)
    return boxes + max(0, len(row) - 1) * GAP_ACROSS


def svg(drawing: Drawing, traffic: Traffic | None = None) -> str:
    """The picture as a self-contained SVG; with `traffic`, lines as thick as they were walked and counts at steps."""
    boxes = {box.step: box for box in drawing.boxes}
    most = max(traffic.left.values(), default=1) if traffic is not None else 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {drawing.width:g} {drawing.height:g}" '
        f'width="{drawing.width:g}" height="{drawing.height:g}" role="img" '
        f'aria-label="{escape(drawing.title)}" font-family="system-ui, sans-serif">',
        "<defs><marker id='tip' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='9' markerHeight='9' markerUnits='userSpaceOnUse' orient='auto'>"
        "<path d='M0 0L8 4L0 8z' fill='context-stroke'/></marker></defs>",
        f"<title>{escape(drawing.title)}</title>",
    ]
    parts += [_line(line, boxes, traffic, most) for line in drawing.lines]
    parts += [_box(box, traffic) for box in drawing.boxes]
    return "\n".join([*parts, "</svg>", ""])


def _layers(flow: Flow) -> dict[str, int]:
    """The longest way to each step that goes round no circle: lines that close one are found by walking deep first."""
    closing: set[tuple[str, str]] = set()
    after = {name: _following(flow, step) for name, step in flow.steps.items()}
    state: dict[str, int] = {}
    finished: list[str] = []
    for root in [flow.start.step, *flow.steps]:
        if root not in after or root in state:
            continue
        work = [(root, iter(after[root]))]
        state[root] = 1
        while work:
            name, ahead = work[-1]
            for following in ahead:
                if state.get(following) == 1:
                    closing.add((name, following))
                elif following not in state:
                    state[following] = 1
                    work.append((following, iter(after[following])))
                    break
            else:
                state[name] = 2
                finished.append(name)
                work.pop()
    layers = dict.fromkeys(flow.steps, 0)
    for name in reversed(finished):
        for following in after[name]:
            if (name, following) not in closing:
                layers[following] = max(layers[following], layers[name] + 1)
    return layers


def _following(flow: Flow, step: Step) -> list[str]:
    return list(dict.fromkeys(exit_.target.step for exit_ in step.exits() if exit_.target.step in flow.steps))


def _order(rows: list[list[str]], above: Mapping[str, Sequence[str]]) -> None:
    for _ in range(SWEEPS):
        place = {name: (n + 0.5) / len(row) for row in rows for n, name in enumerate(row)}
        for row in rows[1:]:
            row.sort(key=lambda name: _mean([place[one] for one in above[name]], place[name]))
            place |= {name: (n + 0.5) / len(row) for n, name in enumerate(row)}


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _lines(flow: Flow, layers: Mapping[str, int]) -> tuple[Line, ...]:
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, step in flow.steps.items():
        for exit_ in step.exits():
            if exit_.target.step in flow.steps:
                found.setdefault((name, exit_.target.step), []).append((exit_.name, exit_.label or exit_.name))
    return tuple(
        Line(
            of=of,
            to=to,
            exits=tuple(dict.fromkeys(name for name, _ in exits)),
            labels=tuple(dict.fromkeys(label for _, label in exits)),
            back=layers[to] <= layers[of],
        )
        for (of, to), exits in found.items()
    )


def _detail(step: Step) -> str:
    for name in ("queue", "language", "answer", "calendar", "flow", "number", "agent", "script", "service", "word"):
        value = getattr(step, name, None)
        if isinstance(value, str) and value:
            return value
    return ""


def _line(line: Line, boxes: Mapping[str, Box], traffic: Traffic | None, most: int) -> str:
    of, to = boxes[line.of], boxes[line.to]
    walked = sum(traffic.left.get((line.of, name, line.to), 0) for name in line.exits) if traffic is not None else 0
    width = 1.5 if traffic is None else 1 + 5 * walked / max(1, most)
    if line.of == line.to:
        right, y = of.x + BOX_WIDTH, of.y + BOX_HEIGHT / 2
        path, label_at = f"M{right:g} {y - 9:g}c30 -8 30 26 2 18", (right + 30, y - 12)
    elif line.back:
        y1, y2 = of.y + BOX_HEIGHT / 2 - 8, to.y + BOX_HEIGHT / 2 + 8
        side = max(of.x, to.x) + BOX_WIDTH + 34
        path = f"M{of.x + BOX_WIDTH:g} {y1:g}C{side:g} {y1:g} {side:g} {y2:g} {to.x + BOX_WIDTH + 2:g} {y2:g}"
        label_at = (of.x + BOX_WIDTH + 58, y1 - 6)
    else:
        spots = [(of.x + BOX_WIDTH / 2, of.y + BOX_HEIGHT)]
        path = f"M{spots[0][0]:g} {spots[0][1]:g}"
        for x, y in line.through:
            path += _bend(spots[-1], (x, y)) + f"L{x:g} {y + BOX_HEIGHT:g}"
            spots.append((x, y + BOX_HEIGHT))
        first = line.through[0] if line.through else (to.x + BOX_WIDTH / 2, to.y)
        path += _bend(spots[-1], (to.x + BOX_WIDTH / 2, to.y - 2))
        # Near the end of the first bend, where lines of one step are apart already.
        label_at = (spots[0][0] + (first[0] - spots[0][0]) * 0.78, spots[0][1] + GAP_DOWN * 0.64)
    label = ", ".join(line.labels) if len(line.labels) < 3 else f"{line.labels[0]} +{len(line.labels) - 1}"
    if traffic is not None:
        label = f"{label} · {walked}"
    dashed = ' stroke-dasharray="5 4"' if line.back else ""
    return (
        f'<g class="line"><path d="{path}" fill="none" stroke="#5b6b7f" stroke-width="{width:.1f}"{dashed} '
        f'marker-end="url(#tip)"/><text x="{label_at[0]:g}" y="{label_at[1]:g}" font-size="11" fill="#3d4a5a" '
        f'text-anchor="middle" paint-order="stroke" stroke="#fff" stroke-width="3">{escape(_short(label, 26))}</text></g>'
    )


def _bend(of: tuple[float, float], to: tuple[float, float]) -> str:
    half = (to[1] - of[1]) / 2
    return f"C{of[0]:g} {of[1] + half:g} {to[0]:g} {to[1] - half:g} {to[0]:g} {to[1]:g}"


def _box(box: Box, traffic: Traffic | None) -> str:
    fill, stroke = ("#e7f4ec", "#2f7d4f") if box.ends else ("#eef3fb", "#3d6fb5")
    rows = [
        (14, 600, "#16202c", _short(box.step, 22)),
        (11, 400, "#3d4a5a", _short(f"{box.verb} {box.detail}".strip(), 30)),
    ]
    if traffic is not None:
        came, gone = traffic.came.get(box.step, 0), traffic.gone.get(box.step, 0)
        counted = f"{came} came" + (f", {gone} hung up ({gone / max(1, came):.0%})" if gone else "")
        rows = [rows[0], (11, 400, "#3d4a5a", counted)]
        if gone and gone * 5 >= came:
            fill, stroke = "#fdeeee", "#b23b3b"
    words = "".join(
        f'<text x="{box.x + BOX_WIDTH / 2:g}" y="{box.y + 20 + 16 * n:g}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}" text-anchor="middle">{escape(text)}</text>'
        for n, (size, weight, colour, text) in enumerate(rows)
    )
    return (
        f'<g class="step" data-step="{escape(box.step)}"><title>{escape(f"{box.verb} {box.detail}".strip())}</title>'
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7" fill="{fill}" '
        f'stroke="{stroke}" stroke-width="1.5"/>{words}</g>'
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
