"""centre.yaml: what is read, and what is refused with its line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from cti.centre_file import load_centre, parse_centre
from cti.errors import ConfigError
from cti.places import DEMO_CENTRE

SMALL = """\
name: Small
queues:
  support:
    titles: {en: Support}
agents:
  "1001": {name: Ada, queues: [support]}
numbers:
  "5000": {flow: main, survival_queue: support}
"""


def _refused(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_centre(text, source="c.yaml")
    assert caught.value.remedy
    return caught.value


def test_defaults() -> None:
    centre = parse_centre(SMALL, source="c.yaml")
    queue = centre.queues["support"]  # type: ignore[index]
    assert (queue.ring_timeout.total_seconds(), queue.wrap_up.total_seconds(), queue.record) == (15, 30, False)
    assert centre.agents["1001"].miss_limit == 3  # type: ignore[index]
    assert centre.languages == ("en", "zh")


def test_the_demo_centre_is_right() -> None:
    centre = load_centre(DEMO_CENTRE)
    assert centre.numbers
    assert all(agent.queues for agent in centre.agents.values())


def test_extensions_without_quotes_are_read() -> None:
    assert list(parse_centre(SMALL.replace('"1001"', "1001"), source="c.yaml").agents) == ["1001"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: Small", "name: Small\ncolour: red", "c.yaml:2: colour: there is no such key"),
        ("titles: {en: Support}", "titles: {en: Support}\n    wrap_up: soon", "c.yaml:5: queues.support.wrap_up: "),
        ("titles: {en: Support}", "titles: {en: Support}\n    wrapup: 5", "c.yaml:5: queues.support.wrapup: there is no such"),
        ("titles: {en: Support}", "titles: {en: Support}\n    ring_timeout: 1", "c.yaml:5: queues.support.ring_timeout: "),
        ("titles: {en: Support}", "titles: {en: Support}\n    strategy: lucky", "c.yaml:5: queues.support.strategy: "),
        ("titles: {en: Support}", "wrap_up: 5", "c.yaml:3: queues.support.titles: this key is missing"),
        ("queues: [support]", "queues: [suport]", "c.yaml:6: agents.1001.queues: there is no queue suport"),
        ("survival_queue: support", "survival_queue: x", "c.yaml:8: numbers.5000.survival_queue: there is no queue x"),
        ("name: Ada", 'name: "Ada\\n; evil"', "c.yaml:6: agents.1001.name: "),
        ("name: Ada", "name: 'a\"b'", "c.yaml:6: agents.1001.name: "),
        ("queues: [support]", "queues: [support], skills: {en: 9}", "c.yaml:6: agents.1001.skills.en: "),
        ('"1001"', '"abc"', "c.yaml:6: agents.abc"),
        ('"1001"', '"1"', "c.yaml:6: agents.1"),
        ('"5000"', '"+"', "c.yaml:8: numbers.+"),
        ('"5000"', "0500", "c.yaml:8: numbers: 0500 without quotes is the number 500 to YAML"),
        ('"5000"', "+15550100", "c.yaml:8: numbers: +15550100 without quotes is the number 15550100 to YAML"),
        ('"1001"', "0x3e9", "c.yaml:6: agents: 0x3e9 without quotes is the number 1001 to YAML"),
        ("numbers:", 'numbers:\n  "+5000": {flow: main, survival_queue: support}',
         "c.yaml:9: numbers: +5000 and 5000 are dialled alike"),
        ("name: Small", "name: Small\ntime_zone: Mars/Base", "c.yaml:2: time_zone: Mars/Base is no time zone"),
        ("name: Small", "name: Small\nregion: usa", "c.yaml:2: region: "),
        ("name: Small", "name: Small\nname: Other", "c.yaml:2:1: not valid YAML: found duplicate key"),
        ("name: Small", "name: [Small", "c.yaml:2:7: not valid YAML"),
        ("name: Small", "\tname: Small", "c.yaml:1:1: not valid YAML"),
        ("name: Small", 'name: "\x01"', "c.yaml: not valid YAML"),
        (SMALL, "", "c.yaml: empty or not a mapping"),
        (SMALL, "- a\n", "c.yaml: empty or not a mapping"),
        (SMALL, "name: x\n", "c.yaml:1: queues: this key is missing"),
    ],
)  # fmt: skip
def test_refused_with_line_and_key(old: str, new: str, told: str) -> None:
    assert old in SMALL
    assert told in _refused(SMALL.replace(old, new, 1)).message


def test_every_problem_is_told_at_once() -> None:
    error = _refused(SMALL.replace("[support]", "[a, b]").replace("survival_queue: support", "survival_queue: c"))
    assert len(error.message.splitlines()) == 3
    assert "support" in error.remedy


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no centre file") as caught:
        load_centre(tmp_path / "none.yaml")
    assert "cti up" in caught.value.remedy
    bad = tmp_path / "bad.yaml"
    bad.write_bytes(b"name: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_centre(bad)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        load_centre(tmp_path)


def test_priority_strategy_and_relaxation() -> None:
    text = SMALL.replace(
        "titles: {en: Support}",
        "titles: {en: Support}\n    strategy: random\n    ceiling: 300\n    skills: {zh: 3}\n"
        "    relax: [{after: 30, skills: {zh: 1}}, {after: 60.5, skills: {zh: 0}}]",
    ).replace("{name: Ada,", "{name: Ada, weight: 2.5,")
    centre = parse_centre(text + "tiers:\n  vip: {strict: 2}\n", source="c.yaml")
    queue = centre.queues["support"]  # type: ignore[index]
    assert (queue.strategy, queue.ceiling) == ("random", timedelta(minutes=5))
    assert [(step.after.total_seconds(), dict(step.skills)) for step in queue.relax] == [
        (30, {"zh": 1}),
        (60.5, {"zh": 0}),
    ]
    assert centre.agents["1001"].weight == 2.5  # type: ignore[index]
    assert centre.tiers["vip"].strict == 2


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("relax: [{after: 60, skills: {zh: 1}}, {after: 60, skills: {zh: 0}}]", "each step must come later"),
        ("relax: [{after: 0, skills: {zh: 1}}]", "queues.support.relax.0.after: "),
        ("relax: [{after: 5, skills: {}}]", "queues.support.relax.0.skills: "),
        ("relax: [{after: 5, skills: {zh: 6}}]", "queues.support.relax.0.skills.zh: "),
        ("ceiling: 0", "queues.support.ceiling: "),
    ],
)
def test_steps_and_ceiling_that_make_no_sense_are_refused(keys: str, told: str) -> None:
    assert told in _refused(SMALL.replace("titles: {en: Support}", f"titles: {{en: Support}}\n    {keys}")).message
