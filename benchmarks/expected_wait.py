"""Expected waits against app_queue's way, in simulated queues: how far off, how biased, how often inside the range.

    python -m benchmarks.expected_wait [--calls 60000] [--seeds 4] [--servers 100]

Each promise is made when a caller joins and compared with the wait that came, of callers who had to wait and were served.
app_queue tells its moving average, (3 * old + new) >> 2 in whole seconds over answered calls. What the estimator knows it
has learned from the calls before: nothing is given to it but the number of servers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from statistics import fmean, stdev

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


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--calls", type=int, default=60_000, help="callers of each run, the first sixth only teach")
    asked.add_argument("--seeds", type=int, default=4)
    asked.add_argument("--servers", type=int, default=100)
    args = asked.parse_args()
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
