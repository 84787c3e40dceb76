"""The corpora of good and bad flows, the centre and prompts they are checked against, and a caller made of a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cti.centre_file import load_centre
from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.flow import Flow
from cti.ivr.parser import parse_flow
from cti.ivr.prompt_book import PromptBook, parse_prompts
from cti.ivr.rehearsal import Rehearsal, World, rehearse, scripted
from cti.model.centre import Centre
from cti.model.facts import Match

SCRIPTS = frozenset({"check_pin"})
"""Scripts that the flows of the corpora may run."""
ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "tests" / "flows"
CLOCK = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
"""What the clock on the wall says in played dialogues: a Monday."""
SHIPPED = ROOT / "ivr_flows"


@cache
def demo_centre() -> Centre:
    """The demo centre, and a function."""
    return replace(load_centre(ROOT / "cti" / "demo" / "centre.yaml"), functions={"discount": "shop:discount"})


@cache
def corpus_prompts() -> PromptBook:
    book = parse_prompts((FLOWS / "prompts.yaml").read_text(encoding="utf-8"), "prompts.yaml")
    assert isinstance(book, PromptBook)
    return book


@cache
def corpus_flows() -> Mapping[FlowName, Flow]:
    """The good flows: what the others may call."""
    files = sorted(FLOWS.glob("good/*.yaml"))
    return {FlowName(file.stem): flow_of(file.read_text(encoding="utf-8"), file.stem) for file in files}


def flow_of(text: str, name: str = "test") -> Flow:
    flow = parse_flow(text, f"{name}.yaml")
    assert isinstance(flow, Flow), "\n".join(map(str, flow))
    return flow


@cache
def shipped(name: str) -> Flow:
    return flow_of((SHIPPED / f"{name}.yaml").read_text(encoding="utf-8"), name)


def talk(
    flow: Flow,
    keys: str = "",
    *,
    customer: e.LookedUp | None = None,
    language: str = "en",
    at: str | None = None,
    pace: timedelta = timedelta(seconds=1),
    open_now: bool = True,
) -> Rehearsal:
    """Play a dialogue: see `cti.ivr.rehearsal` for the keys. All calendars are open, or `office` is closed."""
    world = World(
        customer=customer or e.LookedUp(match=Match.UNKNOWN),
        local=CLOCK,
        closed=frozenset() if open_now else frozenset({"office"}),
    )
    return rehearse(flow, scripted(keys), world=world, language=language, at=at, pace=pace)
