"""How calls sound, as agents' pages measure it: kept are the first report, each one worse than all before, one a minute,
and the last. A page reports every ten seconds; a day of that for every agent would be the largest part of the journal."""

from __future__ import annotations

from datetime import datetime, timedelta

from cti.ids import AgentId, CallId
from cti.model.dial_facts import CallQuality
from cti.services.agent_line import Sound
from cti.services.switchboard import Switchboard

EVERY = timedelta(minutes=1)
WORSE = 0.2
"""By how much of a mean opinion score a report is worse than the worst before."""


def sounded(board: Switchboard, agent_id: AgentId, call_id: CallId, sound: Sound, now: datetime) -> bool:
    """Take a report. Gives whether it was kept.

    That of a call that is not (or was not last) the agent's is not: a page that reports every few seconds does so once
    too late."""
    agent, kept = board.agents.get(agent_id), board.presence.sounds.get(agent_id)
    mine = agent is not None and call_id in (agent.call_id, agent.wrap_call)
    if not mine and (kept is None or kept.call_id != call_id):
        return False
    first = kept is None or kept.call_id != call_id
    mos = sound.mos if sound.mos is not None else 5.0
    if first:
        kept = board.presence.begin_sounds(agent_id, call_id, now)
    elif kept is not None and not sound.final and now - kept.at < EVERY and mos > kept.worst - WORSE:
        return False
    if kept is not None:
        kept.at, kept.worst = now, min(kept.worst, mos)
    board.record(
        CallQuality(
            at=now,
            call_id=call_id,
            agent_id=agent_id,
            rtt_ms=sound.rtt_ms,
            jitter_ms=sound.jitter_ms,
            loss=sound.loss,
            mos=sound.mos,
            final=sound.final,
        )
    )
    return True
