"""docs/screen-pop.md against the code: fields, states, reasons, messages of the webhook."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args, get_type_hints

from cti.ids import CallId
from cti.model.crm_stories import CrmEvent, message
from cti.model.facts import ConsultEnd, OfferEnd
from cti.model.outside_crm import CrmEventKind
from cti.services.floor import Pop
from cti.services.live_centre import REMOVED
from cti.services.switchboard import ANSWERED_ELSEWHERE

TEXT = (Path(__file__).resolve().parents[2] / "docs/screen-pop.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[str]:
    """The first cells of a section's tables."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)


def test_every_field_of_the_pop_in_its_order() -> None:
    told = rows("The message")
    assert set(told) == {field.name for field in fields(Pop)}
    assert told[0] == "version"
    assert f"`version` is {Pop.__dataclass_fields__['version'].default}." in TEXT


def test_every_state_of_the_look_up() -> None:
    assert rows("The look-up") == list(get_args(get_type_hints(Pop)["match"]))


def test_every_reason_of_a_withdrawal() -> None:
    offers = {end.value for end in OfferEnd} - {OfferEnd.ANSWERED.value}
    told = rows("Its life")
    assert len(told) == len(set(told))
    assert set(told) == offers | {end.value for end in ConsultEnd} | {ANSWERED_ELSEWHERE, "call_ended", REMOVED}


def test_every_field_of_a_webhook_message() -> None:
    event = CrmEvent(
        kind=CrmEventKind.OFFERED, at=datetime(2026, 3, 1, tzinfo=UTC), call_id=CallId("n1-1.1"), number="", did="",
        direction="inbound", queue=None, agents=(), customer_id=None,
    )  # fmt: skip
    assert rows("The webhook") == list(message(event, event_id="", reference=""))
