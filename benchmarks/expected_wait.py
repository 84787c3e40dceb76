"""Expected waits against app_queue's way, in simulated queues: how far off, how biased, how often inside the range.

    python -m benchmarks.expected_wait [--calls 60000] [--seeds 4] [--servers 100]
    python -m benchmarks.expected_wait --shared       two queues with shared agents, through the production engine

Each promise is made when a caller joins and compared with the wait that came, of callers who had to wait and were served.
app_queue tells its moving average, (3 * old + new) >> 2 in whole seconds over answered calls. What the estimator knows it
has learned from the calls before: nothing is given to it but the number of servers.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import fmean, stdev

from cti.acd.estimates import Estimates, ExpectedWait
from cti.ids import CallId, OfferId, QueueName
from cti.simulate.floor import Floor
from cti.simulate.scenario import Arrival, Scenario
from cti.simulate.scenario_file import parse_scenario
from cti.simulate.traffic import arrivals
from tests.support.queue_simulation import Tally, exponential, lognormal, simulate

HANDLING = 300.0


@dataclass(frozen=True)
class Case:
    name: str
    handling: Callable[[Random], float]
    load: float
    patience: Callable[[Random], float] | None = None
    swing: float = 0.0

    def run(self, servers: int, calls: int, seed: int) -> Tally:
        return simulate(
            servers=servers, load=self.load, handling=self.handling, mean_handling=HANDLING, patience=self.patience,
            calls=calls, seed=seed, warm_up=calls // 6, swing=self.swing,
        )  # fmt: skip


def cases() -> list[Case]:
    """Every combination; without abandonment the load leaves room for the swing's peak (no queue could bear it)."""
    out = []
    for law, handling in (("exponential", exponential(HANDLING)), ("lognormal", lognormal(HANDLING))):
        out += [
            Case(f"{law}", handling, 0.95),
            Case(f"{law}, swing", handling, 0.85, swing=0.3),
            Case(f"{law}, abandons", handling, 1.1, exponential(300.0)),
            Case(f"{law}, abandons, swing", handling, 1.0, exponential(300.0), 0.3),
            Case(f"{law}, abandons lognormal", handling, 1.1, lognormal(300.0)),
        ]
    return out


SHARED = """
name: shared
hours: {hours}
queues: {{large: {{}}, small: {{}}}}
agents:
  - {{count: {large}, queues: [large]}}
  - {{count: {small}, queues: [small]}}
  - {{count: {both}, queues: [large, small]}}
callers:
  - {{queue: large, per_half_hour: {of_large}, handling: {{exponential: 300}}{patience}}}
  - {{queue: small, per_half_hour: {of_small}, handling: {{exponential: 300}}{patience}}}
"""
GIVE_UP = ", patience: {exponential: 300}"


class Promising(Floor):
    """The simulated floor, where each caller who finds nobody free is promised a wait."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.estimates = Estimates()
        self.tallies = {name: Tally() for name in scenario.centre.queues}
        self._teams = Counter(agent.queues for agent in scenario.centre.agents.values())
        self._averages = dict.fromkeys(scenario.centre.queues, 0)
        self._promised: dict[Arrival, tuple[ExpectedWait | None, int]] = {}

    def _queue_of(self, arrival: Arrival) -> QueueName:
        return self._scenario.callers[arrival.kind].queue

    def _join(self, arrival: Arrival) -> None:
        queue, engine = self._queue_of(arrival), self._engine
        agents = self._scenario.centre.agents.items()
        if not any(engine.is_free(agent_id) for agent_id, agent in agents if queue in agent.queues):
            lines = {name: len(engine.waiting(name)) for name in self.tallies}
            servers = self.estimates.servers(queue, self._teams, lines)
            wait = self.estimates.wait(queue, lines[queue], servers)
            self._promised[arrival] = wait, self._averages[queue]
        super()._join(arrival)

    def _gone(self, call_id: CallId, now: float, how: int) -> None:
        arrival = self._calls[call_id]
        self.estimates.left(self._queue_of(arrival), now - arrival.at, abandoned=True)
        super()._gone(call_id, now, how)

    def _answer(self, offer_id: OfferId, now: float) -> None:
        arrival = self._calls[self._offers[offer_id][0]]
        queue, waited = self._queue_of(arrival), now - arrival.at
        promise, average = self._promised.pop(arrival, (None, 0))
        self.estimates.left(queue, waited, abandoned=False)
        self._averages[queue] = (self._averages[queue] * 3 + int(waited)) >> 2
        if promise is not None:
            self.estimates.settled(queue, promise, waited)
            if arrival.at > self._end / 6:
                self.tallies[queue].rows.append((promise, float(average), waited))
        self._later(now + arrival.handling, HANDLED, (queue, arrival.handling))
        super()._answer(offer_id, now)

    def _happen(self, what: int, subject: object, now: float) -> None:
        if what == HANDLED and isinstance(subject, tuple):
            self.estimates.handled(*subject)
        else:
            super()._happen(what, subject, now)


HANDLED = 99


def shared(hours: int, seed: int) -> None:
    print(f"{'':40}{'promises':>9}{'error/wait':>11}{'of app_queue':>13}{'bias %':>9}{'inside %':>10}")
    for name, counts in (
        ("40 of 42 shared, abandons", (0, 0, 40, 180, 90, GIVE_UP)),
        ("20 of 38 shared, abandons", (12, 6, 20, 180, 70, GIVE_UP)),
        ("20 of 42 shared, endless", (14, 8, 20, 150, 80, "")),
        ("4 of 38 shared, abandons", (24, 10, 4, 160, 80, GIVE_UP)),
    ):
        large, small, both, of_large, of_small, patience = counts
        text = SHARED.format(hours=hours, large=large or 1, small=small or 1, both=both, of_large=of_large,
                             of_small=of_small, patience=patience)  # fmt: skip
        scenario = parse_scenario(f"seed: {seed}\n{text}", source="shared", folder=Path())
        floor = Promising(scenario)
        floor.run(arrivals(scenario))
        for queue, tally in floor.tallies.items():
            print(
                f"{name + ', ' + queue:40}{len(tally.rows):>9}{tally.error():>11.3f}{tally.ratio():>13.3f}"
                f"{100 * tally.bias():>9.2f}{100 * tally.inside():>10.1f}",
                flush=True,
            )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--calls", type=int, default=60_000, help="callers of each run, the first sixth only teach")
    asked.add_argument("--seeds", type=int, default=4)
    asked.add_argument("--servers", type=int, default=100)
    asked.add_argument("--shared", action="store_true")
    asked.add_argument("--hours", type=int, default=100, help="length of each run of --shared")
    args = asked.parse_args()
    if args.shared:
        shared(args.hours, args.seeds)
        return
    print(f"{args.servers} servers, {args.calls} callers, {args.seeds} seeds: mean (+- standard deviation over seeds)")
    print(f"{'':34}{'promises':>9}{'error/wait':>11}{'of app_queue':>15}{'bias %':>15}{'inside %':>15}")
    for case in cases():
        runs = [case.run(args.servers, args.calls, seed) for seed in range(1, args.seeds + 1)]

        def told(figure: Callable[[Tally], float], digits: int, times: float = 1.0, runs: list[Tally] = runs) -> str:
            values = [times * figure(run) for run in runs]
            spread = stdev(values) if len(values) > 1 else 0.0
            return f"{fmean(values):>8.{digits}f} +-{spread:>4.{digits}f}"

        print(
            f"{case.name:34}{sum(len(run.rows) for run in runs):>9}{fmean(run.error() for run in runs):>11.3f}"
            f" {told(Tally.ratio, 3)} {told(Tally.bias, 2, 100)} {told(Tally.inside, 1, 100)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
