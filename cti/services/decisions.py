"""Why each call was offered to whom, and why it was not offered yet: the log of decisions.

After each turn the owner hands over the turn's facts and offers. Each offer leaves a `Decided` fact, and so does each
refusal: a caller whom nobody can have, once for each reason and not once a moment. Nothing is derived from these facts,
so they are journalled behind the turn's own, and nobody waits for them.

Whether the reason of a caller who waits has changed is looked at in passing, some callers at a time, so that ten thousand
of them cost no more than a few. The log also remembers the facts of live calls, and of the last that ended, for whoever
asks before the database has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from cti.acd.decisions import DecisionRecord, Exclusion, Offer, Why
from cti.clock import Clock
from cti.ids import AgentId, CallId, OfferId, QueueName
from cti.model import facts as f
from cti.model.call import Call, CallState
from cti.model.requirement import Requirement, Skills, all_of, both, relaxed
from cti.services.switchboard import Switchboard

MOST_CANDIDATES, MOST_EXCLUDED, MOST_PASSED_OVER = 10, 20, 10
"""What one stored decision names at most; the others are counted."""
LOOK_EVERY = timedelta(milliseconds=50)
LOOKS = 16
"""Waiting callers looked at every `LOOK_EVERY`."""
MOST_LOOKS = 320
"""After a pause of the owner."""
MOST_REFUSALS = 8
"""Refusals that one turn writes down at most; the next turn goes on."""
LASTING = timedelta(seconds=2)
"""A caller who cannot be moved is on the way from one context to the next; only after so long is it worth a word."""
CLOSED_KEPT = 300
"""Ended calls whose facts are remembered."""
FACTS_KEPT = 300
"""Facts remembered a call."""


class DecisionLog:
    """Writes down the decisions of one switchboard. Owned by the dispatcher."""

    def __init__(self, board: Switchboard, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._said: dict[CallId, str] = {}
        """The refusal that was written down last for a caller who waits."""
        self._unmovable: dict[CallId, datetime] = {}
        self._round: deque[CallId] = deque()
        self._looked_at: datetime | None = None
        self._facts: dict[CallId, deque[f.CallFact]] = {}
        self._closed: deque[CallId] = deque()
        self._staff: dict[QueueName, tuple[AgentId, ...]] = {}
        self._staff_centre = board.centre

    # -- each turn -----------------------------------------------------------------------------------------------

    def turn(self, facts: Sequence[f.Fact], offers: Sequence[Offer], now: datetime) -> list[f.Decided]:
        """What is to be journalled after a turn's own facts."""
        self.remember(facts)
        notes = [self.decided(offer.record, offer_id=offer.offer_id, agents=offer.agent_ids) for offer in offers]
        for call_id in {fact.call_id: None for fact in facts if isinstance(fact, f.CallFact)}:
            self._look(call_id, now, notes)
        self._look_around(now, notes)
        self.remember(notes)
        return notes

    def _look_around(self, now: datetime, notes: list[f.Decided]) -> None:
        passed = now - self._looked_at if self._looked_at is not None else LOOK_EVERY
        if timedelta() <= passed < LOOK_EVERY:
            return
        self._looked_at = now
        looks = min(MOST_LOOKS, LOOKS * max(1, passed // LOOK_EVERY))
        if not self._round:
            self._round.extend(call.call_id for call in self._board.calls.values() if call.state is CallState.WAITING)
        already = len(notes)
        while self._round and looks > 0 and len(notes) - already < MOST_REFUSALS:
            looks -= 1
            self._look(self._round.popleft(), now, notes)

    def _look(self, call_id: CallId, now: datetime, notes: list[f.Decided]) -> None:
        call = self._board.calls.get(call_id)
        if call is None or call.state is not CallState.WAITING:
            self._said.pop(call_id, None)
            self._unmovable.pop(call_id, None)
            return
        why = self._board.engine.why_waiting(call_id, now)
        if why == Why.NOT_DELIVERABLE and now - self._unmovable.setdefault(call_id, now) < LASTING:
            return
        if why != Why.NOT_DELIVERABLE:
            self._unmovable.pop(call_id, None)
        if not why or self._said.get(call_id) == why or (call.absent and why == Why.NOT_DELIVERABLE):
            return  # nothing new; or a callback whose customer is not on the line yet
        record = self._board.engine.explain(call_id, now, uncut=False)
        if record is not None:
            self._said[call_id] = why
            notes.append(self.decided(record, why=why))

    # -- memory --------------------------------------------------------------------------------------------------

    def remember(self, facts: Iterable[f.Fact]) -> None:
        """Keep these facts of calls, for `facts_of`; at the start the journal's, so that no refusal is told twice."""
        for fact in facts:
            if not isinstance(fact, f.CallFact):
                continue
            kept = self._facts.get(fact.call_id)
            if kept is None:
                kept = self._facts[fact.call_id] = deque(maxlen=FACTS_KEPT)
            kept.append(fact)
            if isinstance(fact, f.Decided) and fact.offer_id is None:
                self._said[fact.call_id] = fact.why
            elif isinstance(fact, f.OfferMade | f.CallQueued):
                # The same reason after a failed offer, or in another queue, is a decision of its own.
                self._said.pop(fact.call_id, None)
            elif isinstance(fact, f.CallEnded):
                self._said.pop(fact.call_id, None)
                self._unmovable.pop(fact.call_id, None)
                self._closed.append(fact.call_id)
                if len(self._closed) > CLOSED_KEPT:
                    self._facts.pop(self._closed.popleft(), None)

    def facts_of(self, call_id: CallId) -> tuple[f.CallFact, ...]:
        """What is remembered of a call: all of a live one, of one that ended lately; nothing of others."""
        return tuple(self._facts.get(call_id, ()))

    def present(self, call_id: CallId) -> f.Decided | None:
        """How things stand around a call that waits, everybody named; None when it does not wait. Costs O(agents)."""
        call, now = self._board.calls.get(call_id), self._clock.now()
        if call is None or call.state is not CallState.WAITING:
            return None
        record = self._board.engine.explain(call_id, now)
        why = self._board.engine.why_waiting(call_id, now)
        return None if record is None else self.decided(record, why=why, uncut=True)

    # -- a decision as a fact ------------------------------------------------------------------------------------

    def decided(
        self,
        record: DecisionRecord,
        *,
        offer_id: OfferId | None = None,
        agents: tuple[AgentId, ...] = (),
        why: str = "",
        uncut: bool = False,
    ) -> f.Decided:
        """A decision record as a fact: bounded unless `uncut`, and saying of whom a skill is lacking which."""
        board = self._board
        candidates, excluded, passed_over = record.candidates, record.excluded, record.passed_over
        shown = candidates if uncut else candidates[:MOST_CANDIDATES]
        kept_out = excluded if uncut else excluded[:MOST_EXCLUDED]
        call = board.calls.get(record.call_id)
        needed = _needed(board, call, record) if any(one.reason == Exclusion.LACKS_SKILL for one in kept_out) else ()
        reasons = [(one.agent_id, _reason(board, one.agent_id, str(one.reason), needed)) for one in kept_out]
        if uncut or len(reasons) < MOST_EXCLUDED:
            told = {*(one.agent_id for one in candidates), *(one.agent_id for one in excluded), *agents}
            reasons += self._out_of_reach(record, told, None if uncut else MOST_EXCLUDED - len(reasons))
        return f.Decided(
            at=record.at,
            call_id=record.call_id,
            queue=record.queue,
            offer_id=offer_id,
            agents=agents,
            why=str(why),
            score=record.score,
            strict=record.strict,
            relaxed=record.relaxed,
            raised=record.raised,
            strategy=str(record.strategy),
            candidates=tuple((one.agent_id, one.score) for one in shown),
            more_candidates=record.more_candidates + len(candidates) - len(shown),
            excluded=tuple(reasons),
            more_agents=record.more_staff + len(excluded) - len(kept_out),
            passed_over=passed_over if uncut else passed_over[:MOST_PASSED_OVER],
        )

    def _out_of_reach(self, record: DecisionRecord, told: set[AgentId], most: int | None) -> list[tuple[AgentId, str]]:
        """Agents of the queue who are ready and yet could not be called: their device, or a pause, is in the way."""
        board, found = self._board, list[tuple[AgentId, str]]()
        staff = self._staff_of(record.queue)
        for agent_id in staff if most is None else staff[:MOST_EXCLUDED]:
            agent = board.agents.get(agent_id)
            if agent is None or agent_id in told or agent.state is not f.AgentState.READY:
                continue
            if isinstance(board.standing_of(agent_id, record.at), datetime):
                continue
            device = board.devices.get((agent_id, agent.device))
            if device is None or not device.reachable:
                found.append((agent_id, "unreachable"))
            elif agent.device is f.Device.EXTERNAL and board.lines_taken:
                found.append((agent_id, "no_line"))
            elif device.in_use:
                found.append((agent_id, "device_in_use"))
            else:
                found.append((agent_id, "paused"))
        return found if most is None else found[:most]

    def _staff_of(self, queue: QueueName) -> tuple[AgentId, ...]:
        centre = self._board.centre
        if self._staff_centre is not centre:
            self._staff_centre, self._staff = centre, {}
        if queue not in self._staff:
            self._staff[queue] = tuple(sorted(a.agent_id for a in centre.agents.values() if queue in a.queues))
        return self._staff[queue]


def _needed(board: Switchboard, call: Call | None, record: DecisionRecord) -> Requirement:
    """What the call asked of an agent when it was decided."""
    queue = board.centre.queues.get(record.queue)
    needed = both(all_of(call.skills), call.requires) if call is not None else all_of(())
    if queue is None:
        return needed
    needed = both(both(all_of(queue.skills), queue.requires), needed)
    for step in queue.relax[: record.relaxed]:
        needed = relaxed(needed, step.skills)
    return needed


def _reason(board: Switchboard, agent_id: AgentId, reason: str, needed: Requirement) -> str:
    """The reason, and after `lacks_skill` the nearest alternative's skills that are lacking: "lacks_skill:zh 3,en 4"."""
    config = board.centre.agents.get(agent_id)
    if reason != Exclusion.LACKS_SKILL or config is None or not needed:
        return reason
    lacking = min((_lacking(config.skills, alternative) for alternative in needed), key=len)
    return f"{reason}:{','.join(f'{skill} {level}' for skill, level in lacking)}" if lacking else reason


def _lacking(skills: Mapping[str, int], alternative: Skills) -> Skills:
    return tuple((skill, level) for skill, level in alternative if skills.get(skill, 0) < level)
