"""When a talk is recorded, who may hear it, and what the centre's file may say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.centre_forms import QueueForm, queue_of
from cti.ids import CallId
from cti.model.recording_rule import ALWAYS, NEVER, RecordingRule, RecordWhen, consent_of, lot, text_of
from cti.services.recordings import Listener, RecordingRow, may

CALLS = [CallId(f"a1-1795325582.{number}") for number in range(4000)]


def rule(value: object) -> RecordingRule:
    return queue_of("q", QueueForm.model_validate({"titles": {"en": "Q"}, "record": value})).recording_rule


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (True, ALWAYS),
        (False, NEVER),
        ("always", ALWAYS),
        ("never", NEVER),
        ("on_demand", RecordingRule(when=RecordWhen.ON_DEMAND)),
        ("after_consent", RecordingRule(when=RecordWhen.AFTER_CONSENT)),
        ({"share": 0.2}, RecordingRule(when=RecordWhen.ALWAYS, share=0.2)),
        ({"when": "after_consent", "share": 0.5}, RecordingRule(when=RecordWhen.AFTER_CONSENT, share=0.5)),
    ],
)
def test_the_words_of_the_file(value: object, meant: RecordingRule) -> None:
    assert rule(value) == meant
    assert rule(text_of(meant)) == meant


@pytest.mark.parametrize("value", ["sometimes", {"share": 0}, {"share": 1.5}, {"share": True}, {"part": 0.2}, 3, None])
def test_other_words_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="on_demand"):
        rule(value)


def test_a_share_is_the_same_calls_each_time() -> None:
    some = RecordingRule(when=RecordWhen.ALWAYS, share=0.2)
    taken = [call for call in CALLS if some.wants(call, None)]
    assert 0.17 < len(taken) / len(CALLS) < 0.23
    assert taken == [call for call in CALLS if some.wants(call, None)]
    # A larger share takes these calls, too.
    assert set(taken) <= {call for call in CALLS if RecordingRule(when=RecordWhen.ALWAYS, share=0.5).wants(call, None)}


@given(st.text(min_size=1, max_size=40))
def test_every_call_has_a_lot(name: str) -> None:
    assert 0 <= lot(CallId(name)) < 1


def test_a_refusal_counts_before_every_rule() -> None:
    for when in RecordWhen:
        assert not RecordingRule(when=when).wants(CALLS[0], False)
        assert not RecordingRule(when=when).by_hand(False)
    consent = RecordingRule(when=RecordWhen.AFTER_CONSENT)
    assert (consent.wants(CALLS[0], True), consent.wants(CALLS[0], None)) == (True, False)
    assert (consent.by_hand(True), consent.by_hand(None)) == (True, False)
    assert RecordingRule(when=RecordWhen.ON_DEMAND).by_hand(None)
    assert not NEVER.by_hand(None)
    assert [consent_of({"recording_consent": said}) for said in ("yes", "NO", " refused ", "maybe")] == [
        True,
        False,
        False,
        None,
    ]
    assert consent_of({}) is None


def test_who_may_hear() -> None:
    row = RecordingRow(
        recording_id="c", call_id=CALLS[0], kind="talk", begun_at=datetime(2026, 3, 2, tzinfo=UTC), state="kept",
        queue="support", agents=("1001", "1002"),
    )  # fmt: skip
    agent, other = Listener(role="agent", agent_id="1001"), Listener(role="agent", agent_id="1009")
    assert (may(agent, row, own=True), may(agent, row, own=False), may(other, row, own=True)) == (True, False, False)
    assert may(Listener(role="supervisor"), row, own=False)
    assert may(Listener(role="supervisor", queues=("support",)), row, own=False)
    assert not may(Listener(role="supervisor", queues=("sales",)), row, own=False)
    assert may(Listener(role="admin"), row, own=False)
