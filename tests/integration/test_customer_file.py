"""The customer file on a real database: edits, conflicts, history, search, merges, privacy."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cti.crm.demo import load
from cti.crm.privacy import Keep
from cti.errors import RemoteError
from cti.ids import CustomerId
from cti.journal.writer import JournalWriter
from cti.services.customer_file import Customer, CustomerRefused, CustomField, EditConflict
from cti.store.drain import Drain
from tests.integration.test_drain_exactly_once import a_call
from tests.support.customers import Customers, customer_work  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside]

NAUGHTY = (
    "<script>alert(1)</script>", "'; DROP TABLE crm.customers; --", "{{7*7}} ${7*7} %s %n", "=cmd|' /C calc'!A0",
    "undefined", "NULL", "Ω≈ç√∫˜µ≤≥÷", "田中さんにあげて下さい", "👩‍👩‍👧‍👦 🏳️‍🌈", "\u202etxet lamron", "Z̮̞̠͙͔ͅA͡L̴G̢O", "\\x00\\u0000", "a\tb", '" onmouseover="x"',
)  # fmt: skip


async def ada(work: Customers, **values: object) -> Customer:
    return await work.rooms.file.create({"name": "Ada Lovelace", **values}, by="1001")


async def test_an_edit_is_versioned_and_told(customer_work: Customers) -> None:
    file = customer_work.rooms.file
    one = await ada(
        customer_work,
        phones=[{"raw": "(555) 010-9999", "label": "mobile"}],
        consents=[{"channel": "call", "status": "refused", "how": "letter"}],
        addresses=[{"street": "1 Main St\nFlat 2", "city": "Springfield"}],
        tags=["b", "a", "a"],
        time_zone="europe/oslo",
    )
    assert one.version == 1
    assert one.phones[0].number == "+15550109999"
    assert one.phones[0].raw == "(555) 010-9999"
    assert one.do_not_call
    assert (one.tags, one.time_zone) == (("a", "b"), "Europe/Oslo")
    assert customer_work.told == ["+15550109999"]
    two = await file.change(
        one.customer_id, {"email": "ada@example.com", "tier": "vip", "tier_reason": "asked"}, version=1, by="sup"
    )
    assert (two.version, two.tier, two.tier_source, two.tier_reason) == (2, "vip", "override", "asked")
    assert two.consents == one.consents  # when, how and by whom stay
    again = await file.change(one.customer_id, {"email": "ada@example.com"}, version=1, by="sup")
    assert again == two, "the same edit sent twice is done once"
    latest, first = await file.history(one.customer_id)
    assert (latest.by, latest.before["email"], latest.after["email"]) == ("sup", "", "ada@example.com")
    assert first.what == "created"
    with pytest.raises(EditConflict) as conflict:
        await file.change(one.customer_id, {"email": "other@example.com", "company": "X"}, version=1, by="1002")
    assert conflict.value.theirs == two
    assert conflict.value.wanted == {"email": "other@example.com", "company": "X"}
    assert conflict.value.conflicting == ("email",)
    assert await file.get(one.customer_id) == two


async def test_two_editors_at_once_one_conflict(customer_work: Customers) -> None:
    file = customer_work.rooms.file
    one = await ada(customer_work)
    done = await asyncio.gather(
        *(file.change(one.customer_id, {"company": name}, version=1, by=name) for name in ("a", "b")),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["Customer", "EditConflict"]
    assert len(await file.history(one.customer_id)) == 2


async def test_naughty_texts_come_back_as_they_were(customer_work: Customers) -> None:
    file = customer_work.rooms.file
    await file.define_fields([CustomField(name="free", title="Free <b>", kind="text")])
    for text in NAUGHTY:
        one = await file.create(
            {"name": text, "company": text, "notes": text, "addresses": [{"street": text}], "fields": {"free": text},
             "tags": [text.replace(",", "").replace(";", "")[:40]], "phones": [{"raw": "+15550100000", "label": text[:40]}]},
            by="1001",
        )  # fmt: skip
        note = await file.add_note(one.customer_id, text, by="1001")
        kept = await file.get(one.customer_id)
        assert kept is not None
        assert (kept.name, kept.company, kept.notes, kept.addresses[0].street) == (text, text, text, text)
        assert kept.fields == {"free": text}
        assert note.text == text
        found = await file.search(text, limit=100)
        assert isinstance(found, list)
    with pytest.raises(CustomerRefused) as refused:
        await file.create({"name": "a\0b", "email": "no", "phones": [{"raw": "none"}], "nonsense": 1}, by="1001")
    assert {one.field for one in refused.value.problems} == {"name", "email", "phones", "nonsense"}


async def test_search(customer_work: Customers) -> None:
    await load(customer_work.pool)
    search = customer_work.rooms.file.search

    async def names(text: str, **more: object) -> list[str]:
        return [one.name for one in await search(text, **more)]  # type: ignore[arg-type]

    assert await names("zo") == ["Zoë Chen"]
    assert await names("ZOË CH") == ["Zoë Chen"]
    assert await names("chen zo") == ["Zoë Chen"]
    assert await names("zoe imp") == ["Zoë Chen"]
    assert await names("李") == ["李伟"]
    assert await names("伟业贸") == ["李伟"]
    assert await names("贸易") == ["李伟"]
    assert await names("obrien") == await names("O'Brien") == ["Jack O’Brien"]
    for typed in (
        "+1 555-010-0001",
        "(555) 010-0001",
        "5550100001",
        "1 555 010 0001",
        "010-0001",
        "0001",
        "+155501000 01",
    ):
        assert "Zoë Chen" in await names(typed), typed
    assert await names("demo-003") == ["李伟"]
    assert await names("nobody at all") == []
    assert len(await names("")) == 20
    one = await ada(customer_work, email="ada@analytic.example", tags=["engine"])
    assert await names("ada@ana") == await names("analytic.ex") == ["Ada Lovelace"]
    assert await names("love", tag="engine") == ["Ada Lovelace"]
    assert await names("love", tag="other") == []
    assert await names("love", kind="company") == []
    await customer_work.rooms.file.change(one.customer_id, {"name": "Augusta King"}, version=1, by="1001")
    assert await names("lovel") == []
    assert await names("augusta k") == ["Augusta King"]


async def test_notes_are_the_authors(customer_work: Customers) -> None:
    file = customer_work.rooms.file
    one = await ada(customer_work)
    note = await file.add_note(one.customer_id, "first", by="1001", call_id="a1-1.1")
    with pytest.raises(CustomerRefused, match="1001 wrote"):
        await file.edit_note(note.note_id, "mine", version=1, by="1002")
    better = await file.edit_note(note.note_id, "better", version=1, by="1001")
    assert (better.text, better.version) == ("better", 2)
    with pytest.raises(CustomerRefused, match="elsewhere"):
        await file.edit_note(note.note_id, "late", version=1, by="1001")
    assert [entry.before for entry in await file.history(one.customer_id) if entry.what == "note"] == [
        {"note": "first"}
    ]
    assert (await file.get(one.customer_id)).version == 1  # type: ignore[union-attr]


async def test_merge_and_undo_exactly(customer_work: Customers) -> None:
    file, merging = customer_work.rooms.file, customer_work.rooms.merging
    a = await ada(
        customer_work, reference="R1", phones=[{"raw": "+15550100001"}], tags=["x"], company="Engines", notes="one"
    )
    b = await ada(
        customer_work, reference="R2", phones=[{"raw": "+15550100001", "label": "home"}, {"raw": "+15550100002"}],
        tags=["y"], company="Engines", notes="two", email="ada@example.com", tier="gold",
        consents=[{"channel": "call", "status": "refused"}],
    )  # fmt: skip
    note = await file.add_note(b.customer_id, "of b", by="1001")
    (twin,) = await merging.duplicates(a.customer_id)
    assert twin.row.customer_id == b.customer_id
    assert twin.reasons == ("same_phone", "same_name_company")
    one = await merging.merge(a.customer_id, b.customer_id, kept_version=1, gone_version=1, take=["tier"], by="sup")
    assert [phone.number for phone in one.phones] == ["+15550100001", "+15550100002"]
    assert (one.tags, one.email, one.tier, one.reference) == (("x", "y"), "ada@example.com", "gold", "R1")
    assert one.do_not_call
    assert one.notes == "one\ntwo"
    assert one.merged_from == (b.customer_id,)
    assert await file.get(b.customer_id) == one
    assert [found.note_id for found in await file.notes(a.customer_id)] == [note.note_id]
    assert [row.customer_id for row in await file.search("lovelace")] == [a.customer_id]
    (merge,) = await merging.merges(a.customer_id)
    kept, gone = await merging.undo(merge.merge_id, by="sup")

    def bare(customer: Customer) -> dict[str, object]:
        return {
            name: getattr(customer, name)
            for name in customer.__dataclass_fields__
            if name not in ("version", "changed_at")
        }

    assert bare(kept) == bare(a)
    assert bare(gone) == bare(b)
    assert [found.note_id for found in await file.notes(b.customer_id)] == [note.note_id]
    assert {row.customer_id for row in await file.search("lovelace")} == {a.customer_id, b.customer_id}
    with pytest.raises(CustomerRefused, match="already"):
        await merging.undo(merge.merge_id, by="sup")


async def test_an_undo_says_what_is_in_the_way(customer_work: Customers) -> None:
    file, merging = customer_work.rooms.file, customer_work.rooms.merging
    a, b, c = [await ada(customer_work) for _ in range(3)]
    one = await merging.merge(a.customer_id, b.customer_id, kept_version=1, gone_version=1, take=[], by="sup")
    await file.change(a.customer_id, {"email": "x@example.com"}, version=one.version, by="1002")
    (merge,) = await merging.merges(a.customer_id)
    with pytest.raises(CustomerRefused) as refused:
        await merging.undo(merge.merge_id, by="sup")
    (wrong,) = refused.value.problems
    field, words = wrong.field, wrong.message
    assert field == "email"
    assert "1002" in words
    now = await file.get(a.customer_id)
    assert now is not None
    await merging.merge(c.customer_id, a.customer_id, kept_version=1, gone_version=now.version, take=[], by="sup")
    with pytest.raises(CustomerRefused, match="merged into another"):
        await merging.undo(merge.merge_id, by="sup")
    assert (await file.get(b.customer_id)).customer_id == c.customer_id  # type: ignore[union-attr]
    with pytest.raises(EditConflict):
        await merging.merge(
            c.customer_id, (await ada(customer_work)).customer_id, kept_version=1, gone_version=1, take=[], by="s"
        )


async def test_calls_follow_a_merge_and_forgetting_makes_them_anonymous(
    customer_work: Customers, migrated: str, tmp_path: Path
) -> None:
    file = customer_work.rooms.file
    await load(customer_work.pool)
    first, second = CustomerId(1), CustomerId(2)
    async with JournalWriter(tmp_path / "journal") as journal:
        for number in range(3):
            await journal.append(a_call(number))  # all of customer 1
        drain = Drain(journal, migrated)
        while await drain.drain_once():
            pass
        await drain.close()
    assert len(await file.contacts(first)) == 3
    await customer_work.rooms.merging.merge(second, first, kept_version=1, gone_version=1, take=[], by="sup")
    assert len(await file.contacts(second)) == 3
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "one.wav").write_bytes(b"x")
    await customer_work.pool.execute(
        "UPDATE cti.calls SET recording = 'one.wav' WHERE call_id = (SELECT min(call_id) FROM cti.calls)"
    )
    await customer_work.pool.execute(
        "INSERT INTO crm.complaints (source, customer_id, subject, text, number, contact_name, severity, due_at, cause)"
        " VALUES ('call', 1, 'Zoë', 'late', '+15550100001', 'Zoë', 'high', now(), 'delivery')"
    )
    await customer_work.pool.execute(
        "INSERT INTO crm.tasks (kind, title, number, customer_id, due_at) VALUES ('voicemail', 'Zoë', '+15550100001', 1, now())"
    )
    await customer_work.pool.execute(
        "INSERT INTO crm.web_callbacks (key, name, number, queue, consent)"
        " SELECT 'k', 'Zoë', number, 'support', 'yes' FROM crm.phones WHERE customer_id = 2 LIMIT 1"
    )
    await customer_work.pool.execute(
        "INSERT INTO cti.facts (journal_id, position, kind, call_id, at, body) SELECT 'other', 1, 'DataAttached', min(call_id),"
        """ now(), '{"fact": "DataAttached", "data": [["Order", "Zoë"]]}' FROM cti.calls"""
    )
    told = await customer_work.privacy.everything(second)
    assert [one["text"] for one in told["complaints"]] == ["late"]
    assert [one["name"] for one in told["web_callbacks"]] == ["Zoë"]
    assert len(told["tasks"]) == 1
    assert len(told["contacts"]) == 3
    done = await customer_work.privacy.forget(second, by="sup")
    assert (done.customers, done.calls, done.recordings) == (2, 3, ("one.wav",))
    assert not (folder / "one.wav").exists()
    assert await file.get(first) is None
    left = await customer_work.pool.fetchrow(
        "SELECT count(*), count(caller_number), count(customer_id), count(answered_at) FROM cti.calls"
    )
    assert tuple(left)[:3] == (3, 0, 0)
    assert left[3] == 3, "the figures stay"
    complaint = dict(await customer_work.pool.fetchrow("SELECT * FROM crm.complaints"))
    assert (complaint["cause"], complaint["severity"]) == ("delivery", "high")
    assert (complaint["subject"], complaint["text"], complaint["number"], complaint["customer_id"]) == (
        "",
        "",
        None,
        None,
    )
    assert await customer_work.pool.fetchval("SELECT count(*) FROM crm.tasks") == 0
    assert await customer_work.pool.fetchval("SELECT count(*) FROM crm.web_callbacks") == 0
    texts = await customer_work.pool.fetch("SELECT body::text FROM cti.facts")
    assert not [text for (text,) in texts if "+1555" in text or "Zo" in text]
    async with JournalWriter(tmp_path / "journal2") as journal:
        drain = Drain(journal, migrated)
        await drain.rebuild()  # anonymous facts are still facts
        await drain.close()
        assert await customer_work.pool.fetchval("SELECT count(*) FROM cti.calls WHERE customer_id IS NULL") == 3


async def test_old_data_go_by_kind(customer_work: Customers) -> None:
    file, pool = customer_work.rooms.file, customer_work.pool
    old, new = await ada(customer_work), await ada(customer_work)
    await file.add_note(new.customer_id, "old", by="1001")
    await file.add_note(new.customer_id, "new", by="1001")
    past = datetime.now(UTC) - timedelta(days=400)
    await pool.execute("UPDATE crm.customers SET changed_at = $2 WHERE customer_id = $1", old.customer_id, past)
    await pool.execute("UPDATE crm.notes SET written_at = $1 WHERE text = 'old'", past)
    assert not any((await customer_work.privacy.forget_old(Keep())).values())
    year = timedelta(days=365)
    counts = await customer_work.privacy.forget_old(Keep(customers=year, notes=year, history=year))
    assert counts == {"customers": 1, "notes": 1, "history": 0, "imports": 0}
    assert await file.get(old.customer_id) is None
    assert [note.text for note in await file.notes(new.customer_id)] == ["new"]


async def test_without_a_database_it_is_told(customer_work: Customers) -> None:
    one = await ada(customer_work)
    await customer_work.pool.close()
    for asked in (
        customer_work.rooms.file.search("a"),
        customer_work.rooms.file.change(one.customer_id, {"name": "B"}, version=1, by="1001"),
    ):
        with pytest.raises(RemoteError) as away:
            await asked
        assert not away.value.outcome_unknown
        assert "nothing is lost" in away.value.remedy
