"""A team's day as a sheet and as the text of a mail, in both languages."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from cti.quality.rows import AgentDay, LookAt, Note, TeamSummary
from cti.quality.surveys import share
from cti.report_office.files import csv_of
from cti.report_office.request import TEAM_DAY, read_search
from cti.report_office.team_day import team_of, team_sheet, text_of
from cti.services.report_desk import DeskRefused
from tests.support.report_house import NOW, report_centre

DAY = TeamSummary(
    day=date(2026, 3, 3), team="red", calls=12, handling_seconds=245.5, csat=share(3, 4), scores=2, mean=81.25,
    agents=(
        AgentDay(agent="1001", calls=12, handling_seconds=245.5, csat=share(3, 4), scores=2, mean=81.25, praise=1),
        AgentDay(agent="1002", calls=0, handling_seconds=None, csat=share(0, 0), scores=0, mean=None, praise=0),
    ),
    praise=(
        Note(
            note_id=1, agent="1001", kind="praise", text="Calm\nand quick", call_id=None, second=None, author="ann",
            written_at=datetime(2026, 3, 3, 9, tzinfo=UTC), read_at=None, acknowledged_at=None, answer="",
        ),
    ),
    look_at=(
        LookAt(kind="fatal", count=1, agent="1002", call_id="c1", score_id=7, value=0.0),
        LookAt(kind="overdue", count=3),
    ),
)  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_sheet_has_the_team_first_and_says_what_to_look_at(language: str) -> None:
    sheet = team_sheet(DAY, name="", centre=report_centre(), language=language, now=NOW)
    assert [row[1:] for row in sheet.rows] == [
        (12.0, 245.5, 0.75, 2.0, 81.25, 1.0), (12.0, 245.5, 0.75, 2.0, 81.25, 1.0), (0.0, None, None, 0.0, None, 0.0),
    ]  # fmt: skip
    assert len({len(row) for row in sheet.rows} | {len(sheet.columns)}) == 1
    look = {"en": "To look at", "zh": "需要关注"}[language]
    assert [text[-2:] for title, text in sheet.notes if title == look][1] == "×3"
    assert len(sheet.definitions) == 3
    assert "red" in csv_of(sheet).decode("utf-8-sig")
    text = text_of(DAY, report_centre(), language)
    assert "Calm and quick" in text
    assert "75.0%" in text
    assert {"en": "Overdue for scoring: ×3", "zh": "逾期未评分: ×3"}[language] in text


def test_its_address_needs_no_figures_named() -> None:
    request = read_search(f"view={TEAM_DAY}&period=yesterday&team=red")
    assert (request.metrics, team_of(request)) == (("handled", "aht", "satisfaction_rate"), "red")
    assert team_of(read_search(f"view={TEAM_DAY}")) == ""
    with pytest.raises(DeskRefused):
        read_search("view=queues")
