"""When a talk is recorded: the rule of a queue or an agent, and what the caller said to it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cti.ids import CallId

CONSENT = "recording_consent"
"""What a flow keeps with the call about the caller's word: see `consent_of`."""
_YES = frozenset({"yes", "true", "1", "granted"})
_NO = frozenset({"no", "false", "0", "2", "refused"})


class RecordWhen(StrEnum):
    """Which calls are recorded without anybody asking for it."""

    NEVER = "never"
    """None, and nobody may begin a recording by hand."""
    ON_DEMAND = "on_demand"
    """None; who talks, or a supervisor, may begin one."""
    AFTER_CONSENT = "after_consent"
    """Those whose callers said yes."""
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingRule:
    """A rule. `share` below 1 takes that part of the calls it would take: which ones follows from their ids alone."""

    when: RecordWhen = RecordWhen.NEVER
    share: float = 1.0

    def wants(self, call_id: CallId, consent: bool | None) -> bool:
        """Whether this call is recorded from the beginning of the talk. Who refused never is."""
        if consent is False or self.when in (RecordWhen.NEVER, RecordWhen.ON_DEMAND):
            return False
        if self.when is RecordWhen.AFTER_CONSENT and consent is not True:
            return False
        return self.share >= 1.0 or lot(call_id) < self.share

    @property
    def without_bridge(self) -> bool:
        """Whether all its calls are recorded, so that nobody need be asked."""
        return self.when is RecordWhen.ALWAYS and self.share >= 1.0

    def by_hand(self, consent: bool | None) -> bool:
        """Whether a recording may be begun by hand."""
        if self.when is RecordWhen.AFTER_CONSENT:
            return consent is True
        return self.when is not RecordWhen.NEVER and consent is not False


ALWAYS = RecordingRule(when=RecordWhen.ALWAYS)
NEVER = RecordingRule()


def lot(call_id: CallId) -> float:
    """A call's own number in [0, 1), the same whenever it is asked for."""
    return int.from_bytes(hashlib.sha256(call_id.encode()).digest()[:8]) / 2**64


def consent_of(data: Mapping[str, str]) -> bool | None:
    """What the caller said to being recorded: True, False (refused), or None: not asked, or no answer."""
    said = data.get(CONSENT, "").strip().lower()
    return True if said in _YES else False if said in _NO else None


def text_of(rule: RecordingRule) -> bool | str | dict[str, object]:
    """The rule as the centre's file has it."""
    if rule.share < 1.0:
        told: dict[str, object] = {"share": rule.share}
        return told if rule.when is RecordWhen.ALWAYS else {"when": rule.when.value, **told}
    if rule.when in (RecordWhen.ALWAYS, RecordWhen.NEVER):
        return rule.when is RecordWhen.ALWAYS
    return rule.when.value
