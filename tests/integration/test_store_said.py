"""What callers said, as views: survey answers and recordings."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cti.ids import CallId, FlowName
from cti.journal.codec import encode
from cti.model.facts import MessageRecorded, SurveyAnswered
from cti.store.pool import open_pool
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]
T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


async def test_answers_and_recordings_are_rows(migrated: str) -> None:
    about = {"at": T0, "call_id": CallId("a1-1.1"), "flow": FlowName("survey"), "step": "questions"}
    facts = [
        SurveyAnswered(**about, question="solved", score=5),  # type: ignore[arg-type]
        SurveyAnswered(**about, question="friendly", score=0),  # type: ignore[arg-type]
        MessageRecorded(**about, kind="comment", path="x.wav", seconds=4.5),  # type: ignore[arg-type]
    ]
    pool = await open_pool(migrated)
    try:
        await pool.executemany(
            "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body) VALUES ('j', $1, $2, $3, $4, $5::jsonb)",
            [(n, type(f).__name__, f.call_id, f.at, encode(f).decode()) for n, f in enumerate(facts)],
        )
        answers = await pool.fetch("SELECT * FROM report.survey_answers ORDER BY question DESC")
        messages = await pool.fetch("SELECT * FROM report.messages")
    finally:
        await pool.close()
    assert [tuple(row) for row in answers] == [
        ("a1-1.1", T0, "survey", "questions", "solved", 5),
        ("a1-1.1", T0, "survey", "questions", "friendly", 0),
    ]
    assert [tuple(row) for row in messages] == [("a1-1.1", T0, "survey", "questions", "comment", "x.wav", 4.5)]
