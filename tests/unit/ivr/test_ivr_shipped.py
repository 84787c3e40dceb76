"""The shipped flows: checked against the demo centre, and what callers meet in them."""

from __future__ import annotations

import pytest

from cti.ivr import effects as e
from cti.model.facts import Match
from cti.services import flow_library
from cti.services.flow_library import FlowLibrary
from tests.support.flow_corpus import SHIPPED, demo_centre, shipped, talk

STRANGER = e.LookedUp(match=Match.UNKNOWN)


def test_the_shipped_flows_pass_without_a_word() -> None:
    library, problems = FlowLibrary.check(SHIPPED, demo_centre())
    assert problems == []
    assert library is not None
    assert {"main", "support_direct", "simple", "languages", "vip_desk"} <= {flow.name for flow in library}


def test_every_number_of_the_demo_centre_has_its_flow() -> None:
    FlowLibrary.load(SHIPPED, demo_centre())


def test_what_is_known_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    library, _ = FlowLibrary.check(SHIPPED, demo_centre())
    assert library is not None
    before, _ = library.read_folder()
    monkeypatch.setattr(flow_library, "parse_flow", lambda _text, file: pytest.fail(f"{file} was read again"))
    again, problems = library.read_folder()
    assert (again, problems) == (before, [])
    assert {flow.file for flow in again.values()} == {str(SHIPPED / f"{name}.yaml") for name in again}


@pytest.mark.parametrize("keys", ["1", ".1", "..1", "11"])
def test_one_on_the_main_line_is_support_in_english(keys: str) -> None:
    dialogue = talk(shipped("main"), keys, customer=STRANGER)
    assert (dialogue.queue, dialogue.end) == ("support", e.AwaitAgent())
    assert dialogue.heard[-1] == "en/connecting_support"
    assert "stranger.choice" in dialogue.exits


def test_nine_speaks_chinese() -> None:
    dialogue = talk(shipped("main"), "92", customer=STRANGER)
    assert (dialogue.queue, dialogue.language) == ("sales", "zh")
    assert dialogue.heard[-1] == "zh/connecting_sales"


@pytest.mark.parametrize("keys", ["11", ".1.1", "..1..1", "1.1", "1..1", ".11"])
def test_one_and_one_where_the_language_is_asked_first_is_support_in_english(keys: str) -> None:
    dialogue = talk(shipped("languages"), keys, customer=STRANGER)
    assert (dialogue.queue, dialogue.language, dialogue.end) == ("support", "en", e.AwaitAgent())


def test_a_silent_caller_is_served_in_english_by_support() -> None:
    dialogue = talk(shipped("main"), "", customer=STRANGER)
    assert dialogue.queue == "support"
    assert all(sound.startswith("en/") or sound == "zh/press_nine_for_chinese" for sound in dialogue.heard)


@pytest.mark.parametrize("customer", [e.LookedUp(match=match) for match in Match], ids=lambda c: c.match.value)
@pytest.mark.parametrize("name", ["main", "support_direct", "simple", "languages", "vip_desk"])
@pytest.mark.parametrize("keys", ["", "9" * 50, "*#*#*#*#*#", "3", ".3.3.3", "0000"])
def test_nobody_meets_a_dead_end(name: str, customer: e.LookedUp, keys: str) -> None:
    dialogue = talk(shipped(name), keys, customer=customer)
    assert dialogue.end == e.AwaitAgent()
    assert dialogue.queue in ("support", "sales", "vip")


def test_the_opening_hours_are_read_out_and_the_menu_comes_back() -> None:
    dialogue = talk(shipped("main"), "3.1", customer=STRANGER)
    assert "en/opening_hours" in dialogue.heard
    assert dialogue.queue == "support"


def test_a_known_customer_is_not_asked_for_the_language() -> None:
    dialogue = talk(shipped("main"), "..1", customer=e.LookedUp(match=Match.FOUND, tier="silver", language="zh"))
    assert dialogue.heard[0] == "zh/welcome"
    assert "known.choice" in dialogue.exits
    assert dialogue.queue == "support"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_vip_desk_asks_nothing(language: str) -> None:
    dialogue = talk(shipped("vip_desk"), "", customer=e.LookedUp(match=Match.FOUND, tier="vip", language=language))
    assert dialogue.heard == [f"{language}/welcome_vip", f"{language}/connecting_vip"]
    assert dialogue.queue == "vip"


@pytest.mark.parametrize("name", ["support_direct", "simple"])
@pytest.mark.parametrize("keys", ["1", ".1", "..1", "11", ""])
def test_a_single_one_is_support(name: str, keys: str) -> None:
    assert talk(shipped(name), keys, customer=STRANGER).queue == "support"
