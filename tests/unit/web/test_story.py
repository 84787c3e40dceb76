"""The story of a call in the menus: what a flow did with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cti.ids import CallId, FlowName, NodeName
from cti.model import facts as f
from cti.web.explain.story import told

ABOUT: dict[str, Any] = {"at": datetime(2026, 3, 2, 9, 30, tzinfo=UTC), "call_id": CallId("a1-1.1")}
STEP: dict[str, Any] = {**ABOUT, "flow": FlowName("survey"), "step": "questions"}


def test_what_a_flow_did_is_told_and_no_queue_is_left_that_was_never_joined() -> None:
    facts: list[f.CallFact] = [
        f.CallStarted(**ABOUT, node=NodeName("a1"), did="5005"),
        f.CallDequeued(**ABOUT, reason="flow", to="number:+15550100042"),
        f.CallSentOut(**ABOUT, number="+15550100042", step="far"),
        f.TransferFailed(**ABOUT, status="busy"),
        f.SurveyAnswered(**STEP, question="friendly", score=4),
        f.MessageRecorded(**STEP, kind="comment", path="x.wav", seconds=3.0),
    ]
    story = told(ABOUT["call_id"], facts, live=True, complete=True)
    moments = [(moment.kind, moment.text) for moment in story.moments]
    assert moments == [
        ("arrived", "5005"), ("sent_out", ""), ("came_back", ""), ("rated", "friendly 4"), ("voicemail", ""),
    ]  # fmt: skip
