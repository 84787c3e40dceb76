"""Whatever people apply, roll back, draft and remove, in whatever order and with restarts between: every version that was
ever taken stays readable, every call reads what it began with, and live is the last that was applied and passed."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cti.centre_file import parse_centre
from cti.errors import CtiError
from cti.ids import FlowName
from cti.ivr.parser import version_of
from cti.live_flows import LiveFlows, open_flows
from cti.places import Places
from cti.settings import load_settings
from tests.support.flow_fakes import TickingClock

MAIN = FlowName("main")
CENTRE = """
name: T
languages: [en]
queues: {support: {titles: {en: S}}}
agents: {"1001": {name: A, queues: [support]}}
numbers: {"5000": {flow: main, survival_queue: support}}
"""


def text(name: str, tries: int) -> str:
    """A flow that passes with 1 to 9 tries, and fails with none."""
    return (
        f"flow: {name}\nlanguages: [en]\nstart: m\nfailure: e\nsteps:\n  m:\n    menu: [one]\n    tries: {tries}\n"
        "    choices: {1: {label: One, go: e}}\n    no_input: e\n    invalid: e\n  e: {hang_up: [one]}\n"
    )


ACTS = st.one_of(
    st.tuples(st.just("apply"), st.sampled_from(["main", "other"]), st.integers(0, 3)),
    st.tuples(st.just("draft"), st.sampled_from(["main", "other"]), st.integers(0, 3)),
    st.tuples(st.sampled_from(["back", "back_to", "remove", "withdraw"]), st.sampled_from(["main", "other"]), st.integers(0, 3)),
    st.tuples(st.just("start"), st.just("main"), st.just(0)),
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(ACTS, max_size=12))
def test_any_sequence_of_changes(acts: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), acts))


async def _play(folder: Path, acts: list[tuple[str, str, int]]) -> None:
    flows = folder / "flows"
    flows.mkdir()
    (flows / "prompts.yaml").write_text('voices: {en: "piper:joe"}\nprompts: {one: {en: One}}\n')
    (flows / "main.yaml").write_text(text("main", 5))
    (folder / "data" / "prompts" / "en").mkdir(parents=True)
    (folder / "data" / "prompts" / "en" / "one.ulaw").touch()
    places = Places(load_settings(None, overrides={"data": str(folder / "data"), "flows": str(flows)}, environ={}))
    centre, clock = parse_centre(CENTRE, source="c"), TickingClock()

    def start() -> LiveFlows:
        library, versions = open_flows(places, centre, clock)
        return LiveFlows(library, versions, places.prompts, clock)

    side = start()
    live = {"main": version_of(text("main", 5))}
    taken = {("main", live["main"])}
    began: dict[int, str] = {1: live["main"]}
    for act, name, tries in acts:
        flow, new = FlowName(name), text(name, tries)
        version = version_of(new)
        try:
            match act:
                case "apply":
                    await side.apply({flow: new}, expected={flow: live.get(name, "")}, by="a")
                    live[name] = version
                case "draft":
                    await side.put_draft(flow, new, by="a")
                case "back":
                    former = side.standing(flow).former
                    await side.roll_back(flow, None, expected=live.get(name, ""), by="a")
                    live[name] = former
                case "back_to":
                    await side.roll_back(flow, version, expected=live.get(name, ""), by="a")
                    live[name] = version
                case "remove":
                    await side.remove(flow, expected=live.get(name, ""), by="a")
                    live.pop(name, None)
                case "withdraw":
                    await side.withdraw(flow, by="a")
                case _:
                    side = start()
        except CtiError:
            assert act != "apply" or tries == 0, "only a text with a fault is refused"
        else:
            assert (act not in ("apply", "draft")) or tries > 0
            if act in ("apply", "draft") and not (act == "draft" and live.get(name) == version):
                taken.add((name, version))
        library = side._library
        began.setdefault(library.edition(), live["main"])
        assert {one.flow: one.version for one in side.standings() if one.version} == live
        assert {flow.name: flow.version for flow in library} == live
    side = start()
    for name, version in taken:
        assert version_of(await side.text(FlowName(name), version)) == version
    for edition, version in began.items():
        assert side._library.at(edition).get(MAIN).version == version
