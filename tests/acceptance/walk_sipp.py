"""A plan as a SIPp scenario: keys at the times at which the flow should be ready for them, whatever is heard."""

from __future__ import annotations

from pathlib import Path

from cti.ivr import effects as e
from tests.acceptance.walk_line import BYTES_A_SECOND, sound_bytes
from tests.acceptance.walk_plan import Plan
from tests.support.sipp import SCENARIOS

BEFORE = 0.4
"""Seconds from the answer to the first prompt, about."""
INTO, A_KEY = 0.7, 0.35
"""How long into a prompt or a wait a key is pressed, and how long SIPp presses it."""
IN_THE_QUEUE = 2.0


def seconds_of_keys(plan: Plan, folder: Path) -> tuple[list[tuple[float, str]], float]:
    """When keys are pressed, in seconds from the answer, and when the flow is over. Those that follow at once are one burst."""
    at, keys, burst = BEFORE, list[tuple[float, str]](), False
    for moment in plan.moments:
        if not isinstance(moment.effect, e.Play | e.AwaitDigit):
            continue
        if moment.answers and burst:
            keys[-1] = (keys[-1][0], keys[-1][1] + moment.key)
            at += A_KEY
        elif moment.answers:
            keys.append((at + INTO, moment.key))
            at += INTO + A_KEY
        elif isinstance(moment.effect, e.Play):
            at += sum(len(sound_bytes(folder, sound)) for sound in moment.effect.sounds) / BYTES_A_SECOND
        else:
            at += moment.effect.timeout.total_seconds()
        burst = moment.answers
    return keys, at


def suits(plan: Plan, folder: Path) -> bool:
    """Whether SIPp can: it says nothing, and presses keys once in a call (later ones repeat the first one's RTP times)."""
    recorded = any(isinstance(moment.effect, e.Record) for moment in plan.moments)
    return not recorded and plan.cut is None and plan.pace is None and len(seconds_of_keys(plan, folder)[0]) <= 1


def scenario(plan: Plan, folder: Path) -> str:
    """The text of the scenario; the line and the number are SIPp's `service` and its key `number`."""
    template = (SCENARIOS / "caller_presses_1.xml").read_text(encoding="utf-8")
    head, rest = template.split('  <pause milliseconds="2000"/>')
    _, tail = rest.split("  </nop>\n", 1)
    keys, over = seconds_of_keys(plan, folder)
    lines, now = [], 0.0
    for at, key in keys:
        lines.append(f'  <pause milliseconds="{int((at - now) * 1000)}"/>')
        lines.append(f'  <nop><action><exec play_dtmf="{key}"/></action></nop>')
        now = at
    if not isinstance(plan.end, e.HangUp):
        lines.append(f'  <pause milliseconds="{int((over - now + IN_THE_QUEUE) * 1000)}"/>')
        leaves = (SCENARIOS / "caller_leaves.xml").read_text(encoding="utf-8")
        tail = leaves[leaves.rindex("  <send", 0, leaves.index("BYE sip:")) :]
    return head + "\n".join(lines) + "\n" + tail
