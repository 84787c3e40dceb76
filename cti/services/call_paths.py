"""The way each live call has come so far, as its row shows it: kept from change to change, since only its end grows."""

from __future__ import annotations

from collections.abc import Sequence

from cti.ids import CallId
from cti.model import facts as f

LONGEST = 12
"""Steps that are kept; the oldest go first."""
Step = tuple[str, str]


class CallPaths:
    """Paths by call, each read on from where it was read to."""

    def __init__(self) -> None:
        self._known: dict[CallId, tuple[int, tuple[Step, ...]]] = {}

    def of(self, call_id: CallId, history: Sequence[f.Fact]) -> tuple[Step, ...]:
        """The path of a call with these facts so far."""
        read, path = self._known.get(call_id, (0, ()))
        if read < len(history):
            for fact in history[read:]:
                step = _step(fact)
                if step is not None and path[-1:] != (step,):
                    path = (*path[1 - LONGEST :], step)
            self._known[call_id] = (len(history), path)
        return path

    def forget(self, call_id: CallId) -> None:
        """The call is over."""
        self._known.pop(call_id, None)


def _step(fact: f.Fact) -> Step | None:
    if isinstance(fact, f.FlowEntered):
        return "flow", fact.flow
    if isinstance(fact, f.FlowStepDone):
        return ("choice", fact.choice) if fact.choice else None
    if isinstance(fact, f.CallQueued):
        return "queue", fact.queue
    if isinstance(fact, f.CallAnswered):
        return "agent", fact.agent_id
    if isinstance(fact, f.CallTransferred):
        return ("flow_to", fact.to) if fact.kind.value == "flow" else None
    if isinstance(fact, f.CallSentOut):
        return "out", ""
    if isinstance(fact, f.SurvivalEntered):
        return "survival", ""
    if isinstance(fact, f.CallbackReached):
        return "callback", ""
    return None
