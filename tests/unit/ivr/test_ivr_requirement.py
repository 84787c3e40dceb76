"""`requires` of a queue step: alternatives, and what the checker says of those nobody could read."""

from __future__ import annotations

from dataclasses import replace

from cti.ids import QueueName
from cti.ivr.checker import check_text
from cti.ivr.verbs.queue import Queue
from cti.model.requirement import parse_requirement
from tests.support.flow_corpus import corpus_prompts, demo_centre, flow_of

FLOW = "flow: wants\nlanguages: [en]\nstart: support\nfailure: support\nsteps:\n  support: {queue: support, requires: %s}\n"


def wide(*skills: str) -> str:
    return " and ".join(f"({one}_a or {one}_b)" for one in skills)


def test_a_step_asks_for_alternatives() -> None:
    step = flow_of(FLOW % "en>=4 and (zh>=3 or interpreter)", "wants").steps["support"]
    assert isinstance(step, Queue)
    assert step.requires == ((("en", 4), ("interpreter", 1)), (("en", 4), ("zh", 3)))


def test_what_cannot_be_joined_with_the_queues_own_is_refused_where_it_stands() -> None:
    centre, support = demo_centre(), QueueName("support")
    demanding = replace(centre.queues[support], requires=parse_requirement(wide("a", "b", "c")))
    picky = replace(centre, queues={**centre.queues, support: demanding})
    text = FLOW % wide("d", "e", "f")
    assert check_text(text, "wants.yaml", centre, corpus_prompts()) == []
    (problem,) = check_text(text, "wants.yaml", picky, corpus_prompts())
    column = text.splitlines()[-1].index("(d_a") + 1
    assert (problem.code, problem.at.line, problem.at.column) == ("requirement", 6, column)
