"""Races in virtual time: answers, hang-ups, refusals, leases and lost replies all at once, on the real floor.

    python -m tests.fuzz.races [--runs 1000000] [--seed 1] [--kind plain] [--first 0] [--go-on]

Each race has a floor of its own, two callers (or so) and one agent (or two), and a telephone system that loses the replies of
5 % of the actions that were done and of 5 % that were not, refuses 3 %, and tells events late (`races_line`). After every step:
nobody is in two calls or offers, no telephone is called for two calls or twice for one, no channel id is used twice, the books
add up. In the end, when nothing goes wrong any more, nobody is left: every caller was served or hung up, every agent is free.
A race is told by its seed and number; the first that is wrong is made simpler and its story printed; exit status 1. With
`--go-on` one line is printed for each that is wrong, and the rest is played. Ctrl-C and SIGTERM tell how far it came.
"""

from __future__ import annotations

import argparse
import gc
import logging
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cti.ids import AgentId
from cti.model.call import CallState
from cti.model.facts import AgentState, DestinationKind
from cti.services import agents, callbacks, consults, holds, transfers
from cti.services.talk_view import SendTo
from tests.fuzz.races_line import ANSWER_WITHIN, BEGIN, SECOND, Caller, Kind, Leg, Line, Troubles, Wrong

KINDS = (
    Kind(name="plain"),
    Kind(name="pairs", agents=2),
    Kind(name="ring_all", agents=2, ring_all=True),
    Kind(name="moves", agents=2, moves=True),
    Kind(name="customer_first", callbacks=True),
    Kind(name="agent_first", callbacks=True, first="agent"),
    Kind(name="outside", outside=True),
)
SHARES = (6, 3, 2, 3, 2, 2, 2)
"""How often each kind is played."""
CALM_AT = 45 * SECOND
"""From then on nothing goes wrong, and everybody answers."""
OVER_AT = 600 * SECOND
PATIENCE = 12 * SECOND
"""How long an agent who sent a caller on waits for the line to go before they hang up."""
OUTSIDE = "+15550170001"


class Race(Line):
    """The people of one race."""

    def play(self) -> None:
        """From the first call to the last hang-up. Raises `Wrong`."""
        self.log_in()
        rng = self.rng
        for place in range(self.kind.callers):
            self.at(rng.choice((0, 1000, SECOND, 8 * SECOND)), partial(self.comes, f"+1555010000{place}"))
        self.at(5 * SECOND, self.agents_look)
        self.run(9 * SECOND, lambda: False)
        self.run(CALM_AT, self.over)
        self.calm = True
        self.say("calm")
        self.at(20 * SECOND, self.all_leave)
        if not self.run(OVER_AT, self.over):
            raise Wrong(f"stuck: {self.left()}")

    def agents_look(self) -> None:
        """Agents who were made not ready, for they missed too many, are ready again."""
        for agent_id, agent in self.board.agents.items():
            if agent.chosen is not AgentState.READY:
                self.ask(agents.set_agent, agent_id, AgentState.READY, self.now, reason="", device=None)
        self.at(5 * SECOND, self.agents_look)

    def over(self) -> bool:
        """Whether nobody is left."""
        return not (self.board.calls or self.callers or self.legs or self.left())

    def left(self) -> str:
        """Who is left."""
        calls = [f"{call.call_id} {call.state.value} by the books" for call in self.board.calls.values()]
        there = [f"{caller.call_id} {caller.place}" for caller in self.callers.values()]
        legs = [f"{leg.name} {leg.state}" for leg in self.legs.values()]
        busy = [f"{agent} not free" for agent in self.board.agents if not self.board.engine.is_free(agent)]
        return "; ".join(calls + there + legs + busy)

    # -- callers

    def comes(self, number: str) -> None:
        """A caller, some of whom have little patience, or ask to be called back."""
        caller = self.arrives(number)
        rng = self.rng
        if self.troubles.leave and rng.random() < 0.3:
            self.at(rng.choice((0, 2000, rng.randrange(40 * SECOND))), partial(self.hangs_up, caller))
        if self.kind.callbacks and rng.random() < 0.8:
            self.at(rng.randrange(10 * SECOND), partial(self.asks_callback, caller))

    def all_leave(self) -> None:
        """Whoever has been served by now hangs up; who waits, waits."""
        for caller in list(self.callers.values()):
            if caller.place not in ("wait", "deliver", "flow", "elsewhere"):
                self.hangs_up(caller)
        self.at(10 * SECOND, self.all_leave)

    def asks_callback(self, caller: Caller) -> None:
        """A waiting caller presses the key."""
        call = self.board.calls.get(caller.call_id)
        if call is not None and caller.place == "wait" and call.state in (CallState.WAITING, CallState.OFFERED):
            self.say(f"{caller.call_id} asks to be called back")
            self.touched = True
            callbacks.ask_callback(self.board, call, self.numbers[caller.call_id], self.now)

    def people_customer(self, customer: Caller) -> None:
        rng = self.rng
        after = rng.choice((0, 1000, rng.randrange(15 * SECOND)))
        if self.calm or rng.random() < 0.5:
            self.at(after, partial(self.customer_there, customer))
        else:
            self.at(after, partial(self.attempt_over, customer, rng.choice(("BUSY", "NOANSWER"))))
        self.at(15 * SECOND, partial(self.attempt_over, customer, "NOANSWER"))

    def people_called(self, leg: Leg) -> None:
        rng = self.rng
        after = rng.choice((0, 1000, rng.randrange(15 * SECOND)))
        if self.calm or rng.random() < 0.6:
            self.at(after, partial(self.customer_joins, leg))
        elif rng.random() < 0.5:
            self.at(after, partial(self.agent_hangs_up, leg))
        self.at(15 * SECOND, partial(self.customer_away, leg))

    # -- telephones that ring

    def moment(self, leg: Leg) -> int:
        """When something happens to a telephone that rings: at once, some time, or at an edge."""
        rng = self.rng
        edge = rng.random()
        if edge < 0.25:
            return rng.choice((0, 1, 1000, 15 * SECOND - 1, 15 * SECOND, 14_950_000))
        if edge < 0.35:
            lease = self.board.engine.lease_of_call(leg.call_id)
            if lease is not None:
                deadline = round((lease.deadline - BEGIN).total_seconds() * SECOND)
                return max(0, deadline - self.t + rng.choice((-1, 0, 0, 1, -self.lag)))
        return rng.randrange(15 * SECOND)

    def people_ring(self, leg: Leg) -> None:
        rng = self.rng
        if self.calm:
            self.at(rng.randrange(SECOND), partial(self.answers, leg))
            return
        act, after = rng.random(), self.moment(leg)
        if act < 0.5:
            self.at(after, partial(self.answers, leg))
        elif act < 0.65:
            self.at(after, partial(self.refuses, leg, rng.choice((17, 21))))
        elif act < 0.78:
            self.at(after, partial(self.rejects, leg))
        if self.troubles.leave and leg.caller is not None and rng.random() < 0.25:
            self.at(after if rng.random() < 0.7 else self.moment(leg), partial(self.hangs_up, leg.caller))

    def rejects(self, leg: Leg) -> None:
        """The agent refuses at the page."""
        if leg.agent is not None and leg.offer is not None:
            self.ask(agents.reject, leg.agent, leg.offer, self.now)

    # -- talks

    def people_talk(self, caller: Caller, leg: Leg) -> None:
        rng = self.rng
        lasts = rng.choice((0, 1000, SECOND // 10, 2 * SECOND, rng.randrange(12 * SECOND)))
        if self.calm:
            self.at(3 * SECOND, partial(self.hangs_up, caller))
            return
        if self.kind.moves and rng.random() < 0.8:
            self.at(lasts, partial(self.moves, caller, leg, rng.randrange(1, 5)))
            return
        who = rng.random()
        if who < 0.45 and self.troubles.leave:
            self.at(lasts, partial(self.hangs_up, caller))
        if 0.35 < who < 0.75 or not self.troubles.leave:
            self.at(lasts, partial(self.agent_hangs_up, leg))
        if who > 0.7:
            self.at(lasts, partial(self.ends, leg))

    def ends(self, leg: Leg) -> None:
        """The agent ends the call at the page; by hand where that does nothing."""
        if leg.agent is not None and leg.state != "gone":
            self.ask(agents.hang_up, leg.agent, leg.call_id)
            self.at(PATIENCE, partial(self.agent_hangs_up, leg))

    def moves(self, caller: Caller, leg: Leg, steps: int) -> None:
        """The agent holds, asks somebody, or sends the caller on."""
        if leg.state == "gone" or caller.place == "gone" or leg.agent is None:
            return
        rng, board, call_id = self.rng, self.board, caller.call_id
        other = next((one for one in board.agents if one != leg.agent), AgentId("1001"))
        call = board.calls.get(call_id)
        act = rng.random()
        sent = False
        if call is not None and call.consult is not None:
            way = rng.choice((consults.complete, consults.cancel, consults.swap, consults.join))
            sent = self.ask(way, leg.agent, call_id, self.now) and way is consults.complete
        elif act < 0.3:
            self.ask(holds.hold, leg.agent, call_id, self.now, on=not (call is not None and call.held_by_server))
        elif act < 0.6:
            kind, name = rng.choice(((DestinationKind.AGENT, str(other)), (DestinationKind.NUMBER, OUTSIDE)))
            self.ask(consults.begin, leg.agent, call_id, SendTo(kind=kind, name=name), self.now)
        else:
            kind, name = rng.choice(
                (
                    (DestinationKind.AGENT, str(other)),
                    (DestinationKind.QUEUE, "sales"),
                    (DestinationKind.NUMBER, OUTSIDE),
                    (DestinationKind.FLOW, "none"),
                )
            )
            sent = self.ask(transfers.transfer, leg.agent, call_id, SendTo(kind=kind, name=name), self.now)
        if sent:
            lost = self.lost_of[caller.call_id]
            self.at(PATIENCE, partial(self.still_there, caller, leg, caller.turn, lost))
        elif steps > 0:
            after = rng.choice((0, 1000, SECOND, rng.randrange(8 * SECOND)))
            self.at(after, partial(self.moves, caller, leg, steps - 1))
            if self.troubles.leave and rng.random() < 0.15:
                self.at(after, partial(self.hangs_up, caller))
        else:
            self.at(0, partial(self.agent_hangs_up if rng.random() < 0.5 else self.ends, leg))

    def still_there(self, caller: Caller, leg: Leg, turn: int, lost: int) -> None:
        """Whoever sent the caller on hangs up when the line does not go of itself. Each lost answer is waited for."""
        since = self.lost_of[caller.call_id] - lost
        if since and leg.state != "gone":
            self.at(since * ANSWER_WITHIN, partial(self.still_there, caller, leg, turn, lost + since))
        elif leg.state != "gone":
            if (
                caller.turn == turn
                and leg.state == "up"
                and caller.place == "bridge"
                and caller.call_id in self.board.calls
            ):
                raise Wrong(f"{caller.call_id} was sent on and is still with {leg.agent} after {PATIENCE // SECOND} s")
            self.agent_hangs_up(leg)


# -- playing many


@dataclass(slots=True)
class Found:
    """A race that went wrong."""

    seed: str
    kind: Kind
    troubles: Troubles
    why: str
    story: list[str]


def kind_of(number: int) -> Kind:
    """Which kind of race this one is."""
    place = number % sum(SHARES)
    for kind, share in zip(KINDS, SHARES, strict=True):
        if place < share:
            return kind
        place -= share
    raise AssertionError


def play(kind: Kind, seed: str, troubles: Troubles | None = None, *, tell: bool = False) -> tuple[str, Race]:
    """One race: what was wrong (empty: nothing), and the race."""
    race = Race(kind, seed, troubles, tell=tell)
    try:
        race.play()
    except Wrong as wrong:
        return str(wrong), race
    except Exception as error:
        if tell:
            race.say(f"{type(error).__name__}: {error}")
        return f"{type(error).__name__}: {error}", race
    return "", race


def _like(why: str) -> str:
    return why.split(":")[0].split(" is ")[-1]


def simplest(kind: Kind, seed: str, why: str) -> Found:
    """The same thing wrong with fewer troubles and fewer callers."""
    troubles = Troubles()
    for change in (
        {"jump": 0.0}, {"refused": 0.0}, {"stalls": False}, {"jitter": False}, {"late": False}, {"lost": 0.0}, {"leave": False},
    ):  # fmt: skip
        fewer = replace(troubles, **change)
        now, _ = play(kind, seed, fewer)
        if now and _like(now) == _like(why):
            troubles = fewer
    if kind.callers > 1:
        alone = replace(kind, callers=1)
        now, _ = play(alone, seed, troubles)
        if now and _like(now) == _like(why):
            kind = alone
    why, race = play(kind, seed, troubles, tell=True)
    return Found(seed, kind, troubles, why, race.story or [])


@dataclass(slots=True)
class Played:
    """How far it came."""

    seen: Counter[str] = field(default_factory=Counter)
    """What happened."""
    wrong: list[tuple[Kind, str, str]] = field(default_factory=list)
    """Kind, seed and what was wrong."""
    ended: bool = False
    """Somebody ended it."""


def many(seed: int, first: int, runs: int, *, only: str = "", go_on: bool = False, every: float = 60.0) -> Played:
    """Play so many races; without `go_on` up to the first that is wrong."""
    played = Played()
    seen = played.seen
    began = told = time.monotonic()
    worked = time.process_time()
    named = next((one for one in KINDS if one.name == only), None)
    gc.disable()
    try:
        for number in range(first, first + runs):
            kind, name = named or kind_of(number), f"{seed}.{number}"
            why, race = play(kind, name)
            seen["races"] += 1
            seen["answered"] += race.answered
            seen["delivered"] += race.delivered
            seen["originated"] += race.originated
            seen["replies_lost"] += race.lost
            seen["facts"] += len(race.facts)
            seen[f"kind {kind.name}"] += 1
            if why:
                played.wrong.append((kind, name, why))
                print(f"race {name} ({kind.name}): {why}", flush=True)
                if not go_on:
                    break
            if number % 200 == 0:
                gc.collect()
                now = time.monotonic()
                if now - told > every:
                    told = now
                    done = number - first + 1
                    rate = done / (time.process_time() - worked)
                    print(
                        f"{done} races, {len(played.wrong)} wrong, {done / (now - began):.0f} a second, {rate:.0f} a second of "
                        "processor",
                        flush=True,
                    )
    except KeyboardInterrupt:
        pass  # somebody ended it
    gc.enable()
    return played


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first race")
    parser.add_argument("--kind", default="", choices=["", *(kind.name for kind in KINDS)])
    parser.add_argument("--go-on", action="store_true", help="not only up to the first that is wrong")
    asked = parser.parse_args()
    quiet()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    played = many(asked.seed, asked.first, asked.runs, only=asked.kind, go_on=asked.go_on)
    print(", ".join(f"{count} {name}" for name, count in played.seen.items()))
    if not played.wrong:
        print("nothing wrong")
        return 0
    if not asked.go_on:
        found = simplest(*played.wrong[0])
        left = {one.name: getattr(found.troubles, one.name) for one in fields(Troubles)}
        print("\n".join(found.story))
        print(f"race {found.seed} ({found.kind.name}, {found.kind.callers} callers, {left}): {found.why}")
    return 1


def quiet() -> None:
    """The floor's own log lines are not wanted here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


if __name__ == "__main__":
    sys.exit(main())
