"""Random callers in random flows that the checker accepts: none ever reaches a step that is not there.

    python -m tests.fuzz.random_dialogues [--dialogues 1000000] [--each 100] [--seed 1]

Flows come from the generator of the property tests and from the shipped flows and those of `tests/flows/good`; each accepted one
is gone through `--each` times with random keys, silences, answers of customers' file, clock, services, and hang-ups.
Prints how many flows were accepted, dialogues, steps, and how they ended. Exit status 1 with the flow and the keys at the
first that is wrong.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hypothesis import HealthCheck, Phase, given, seed, settings

from cti.ivr import effects as e
from cti.ivr.checker import check_flow, live
from cti.ivr.flow import Flow
from cti.ivr.interpreter import MAX_STEPS
from cti.ivr.parser import parse_flow
from cti.model.facts import Match
from tests.property.ivr.test_ivr_flows import WAYS_TO_FAIL, flow_texts, play
from tests.support.flow_corpus import SCRIPTS, corpus_flows, corpus_prompts, demo_centre

FLOWS_AT_A_TIME = 200


def keys_of(chance: random.Random) -> list[str]:
    """What one caller does: mostly keys, some silence, seldom a hang-up."""
    silence = chance.choice((0.05, 0.3, 0.8))
    row = [chance.choice(e.ALL_KEYS) if chance.random() > silence else "" for _ in range(chance.randrange(60))]
    if row and chance.random() < 0.3:
        row[chance.randrange(len(row))] = "!"
    return row


class Walk:
    """Goes through flows and counts."""

    def __init__(self, each: int, number: int) -> None:
        self.each = each
        self.chance = random.Random(number)
        self.accepted = self.refused = self.dialogues = self.steps = 0
        self.ends: Counter[str] = Counter()

    def through(self, flow: Flow) -> None:
        """All callers of one flow. Raises `AssertionError` with a note."""
        for _ in range(self.each):
            keys = keys_of(self.chance)
            customer = e.LookedUp(
                match=self.chance.choice(list(Match)),
                tier=self.chance.choice(("", "vip", "regular")),
                language=self.chance.choice(("", "en", "zh", "fr")),
            )
            turns = play(flow, keys, customer)
            self.dialogues += 1
            self.ends[type(turns[-1].effect).__name__] += 1
            traces = [trace for turn in turns for trace in turn.traces]
            self.steps += len(traces)
            assert len(traces) <= MAX_STEPS + 2, keys
            for trace in traces:
                assert trace.flow != flow.name or trace.step in flow.steps, (trace, keys)
                assert trace.flow != flow.name or trace.next_step is None or trace.next_step in flow.steps, (
                    trace,
                    keys,
                )
                assert trace.exit != "failure" or trace.verb in WAYS_TO_FAIL, (trace, keys)

    def text(self, text: str) -> None:
        """One flow's text: gone through if the checker accepts it."""
        flow = parse_flow(text, "test.yaml")
        if not isinstance(flow, Flow) or not live(
            check_flow(flow, demo_centre(), corpus_prompts(), corpus_flows(), SCRIPTS)
        ):
            self.refused += 1
            return
        self.accepted += 1
        try:
            self.through(flow)
        except BaseException as error:
            error.add_note(text)
            raise


def main() -> None:
    """Read the options and walk."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dialogues", type=int, default=1_000_000)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    walk = Walk(options.each, options.seed)
    began = time.monotonic()
    for flow in corpus_flows().values():
        walk.accepted += 1
        walk.through(flow)
    turn = options.seed * 1_000_000
    while walk.dialogues < options.dialogues:
        turn += 1

        @seed(turn)
        @settings(
            max_examples=FLOWS_AT_A_TIME,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(text=flow_texts())
        def some(text: str) -> None:
            walk.text(text)

        some()
        print(f"\r{walk.dialogues:,} dialogues", end="", file=sys.stderr, flush=True)
    print(
        f"\n{walk.accepted:,} flows accepted, {walk.refused:,} refused; {walk.dialogues:,} dialogues, {walk.steps:,} steps,"
        f" seed {options.seed}, {time.monotonic() - began:.0f} s; ends: {dict(walk.ends.most_common())}"
    )


if __name__ == "__main__":
    main()
