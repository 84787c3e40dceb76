"""What crafted callers write, as if Asterisk had let it through: into the manager link's decoder, and out to the pages.

    CTI_TEXTS=100000 pytest -s tests/fuzz/test_crafted_texts.py

That the pages show text as text is tried in a browser, with the worst of these (`tests/integration/web_api/test_hostile_texts.py`).
"""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from cti.asterisk.ami.translate import Translator, accounts_of
from cti.asterisk.ami.wire import AmiReader
from cti.clock import SystemClock
from cti.ids import AgentId
from cti.services.floor import Change
from cti.web.wire import reply
from tests.support.crafted_callers import crafted
from tests.support.fake_floor import FakeFloor, demo_centre

TEXTS = int(os.environ.get("CTI_TEXTS", "600"))
SEED = int(os.environ.get("CTI_SEED", "7"))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
UI = Path(__file__).resolve().parents[2] / "cti" / "web" / "ui" / "src"

pytestmark = pytest.mark.timeout(60 + TEXTS / 100)


def event(text: bytes) -> bytes:
    """A caller who comes in, with this for every text that a stranger could choose."""
    lines = (
        b"Event: UserEvent", b"Privilege: user,all", b"Timestamp: 1795361405.000001", b"SystemName: a1", b"Channel: PJSIP/trunk-00000001",
        b"CallerIDNum: " + text, b"CallerIDName: " + text, b"ConnectedLineName: " + text, b"Uniqueid: a1-1795361405.1",
        b"Linkedid: a1-1795361405.1", b"ChanVariable: CTI_CALL=a1-1795361405.1", b"ChanVariable: CTI_QUEUE=" + text,
        b"UserEvent: CtiInbound", b"Call: a1-1795361405.1", b"Number: " + text, b"Did: " + text,
    )  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n"


def test_texts_of_strangers_stay_texts() -> None:
    translator = Translator(accounts_of([AgentId("1001")]))
    floor = FakeFloor(demo_centre(), clock=SystemClock())
    told = 0
    for index in range(TEXTS):
        caller = crafted(index, SEED, "/nowhere")
        text = unquote_to_bytes(caller.sender).replace(b"\r", b" ").replace(b"\n", b" ")
        reader = AmiReader()
        reader.feed(b"Asterisk Call Manager/11.0.0\r\n")
        (message,) = reader.feed(event(text))
        signal = translator.signal(message, NOW)
        number = getattr(signal, "caller_number", None)
        assert number is None or re.fullmatch(r"\+?[0-9]{1,20}", number), text
        told += signal is not None
        # As a name and a number it is on the pages what it was, whatever it is.
        name = text.decode("utf-8", "replace")
        row = floor.make_call("a1-1.1", caller_number=name, customer_name=name, choice=name)
        pop = floor.make_pop(AgentId("1001"), row, 1, note=name, transferred_by=name)
        answer = reply(Change(calls={row.call_id: row}, pops={AgentId("1001"): pop}))
        assert answer.content_type == "application/json"
        body = answer.body
        assert isinstance(body, bytes)
        assert not re.search(rb"[\x00-\x1f]", body)
        found = json.loads(body)
        assert {found["calls"][row.call_id][key] for key in ("caller_number", "customer_name", "choice")} == {name}
        assert {found["pops"]["1001"][key] for key in ("number", "note", "transferred_by")} == {name}
    assert told > 0
    print(f"{TEXTS} texts, seed {SEED}: {told} taken as calls, none changed, none a number that it is not")


def test_no_page_takes_text_for_markup() -> None:
    sources = [file for kind in ("*.svelte", "*.ts") for file in UI.rglob(kind)]
    assert len(sources) > 50
    for file in sources:
        found = re.search(
            r"\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", file.read_text(encoding="utf-8")
        )
        assert found is None, (file, found)
