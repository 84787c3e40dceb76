"""Hostile texts in the text fields of every page, in a real Chromium: nothing of them runs, and they come back as they were.

The texts hold markup, handlers, text that runs from right to left, signs without width, emoji of several parts, words that
programs take for nothing, and a length that fills the field.
"""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page

from cti.ids import AgentId
from cti.services.floor import Change
from tests.support.crafted_callers import TEXTS
from tests.support.customers import customer_work  # noqa: F401 - a fixture
from tests.support.pages import Pages, pages  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.scripted_desk import CARD, scripted_desks

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]

EVIL = (
    '<img src=x onerror="window.hit=1"><script>window.hit=1</script>\'"`{{7*7}}${hit} \u202etxet\u202c\u200b\ufeff'
    "👩‍👩‍👧 𝒳 李 ﷽ null undefined NaN \\u0000 javascript:window.hit=1//"
)
"""Fits into every field of 200."""
LONG = (EVIL + " ") * 20 + "x" * 500 + "."
"""Fits into every field of 4,000."""
MID = '<img src=x onerror="window.hit=1">\u202etxet\u202c\u200b👩‍👩‍👧{{7*7}}'
"""Fits where 100 do."""
WIDE = MID * 12
"""Fits where 1,000 do."""
BAD = "\u202e<b>x</b>\u200b👩‍👩‍👧"
"""Fits where 40 do."""

WORST = tuple(" ".join(one.decode("utf-8", "replace") for one in TEXTS[at : at + 4]) for at in range(0, len(TEXTS), 4))
"""Callers' numbers and names, as if a telephone exchange had let them through."""


async def test_customers_and_their_files(pages: Pages) -> None:
    admin = await pages.page("admin", "/customers#fields")
    await admin.click("[data-testid=field-add]")
    await admin.fill("[data-testid=field-0-title]", MID)
    await admin.click("[data-testid=fields-save]")
    await admin.wait_for_selector("[data-testid=fields-said]")
    (own,) = await pages.work.rooms.file.fields()
    assert own.title == MID
    await admin.click("[data-testid=new]")
    for field in ("name", "company", "notes"):
        await admin.fill(f"[data-testid=edit-{field}]", EVIL)
    await admin.fill("[data-testid=edit-reference]", MID)
    await admin.fill("[data-testid=edit-tags]", BAD)
    await admin.get_by_label(MID).fill(WIDE)
    await admin.click("[data-testid=save]")
    assert await admin.text_content("[data-testid=card-name]") == EVIL
    number = int(admin.url.rpartition("#")[2])
    await admin.click("[data-testid=tab-notes]")
    await admin.fill("[data-testid=note-text]", LONG)
    await admin.click("[data-testid=note-add]")
    await admin.wait_for_selector("[data-testid=notes] li")
    for tab in ("history", "same", "privacy"):
        await admin.click(f"[data-testid=tab-{tab}]")
        await pages.nothing_foreign(admin)
    await admin.fill("[data-testid=search]", EVIL)
    await admin.wait_for_selector("[data-testid=found] li")
    kept = await pages.work.rooms.file.get(number)  # type: ignore[arg-type]
    assert kept is not None
    assert (kept.name, kept.company, kept.notes, kept.reference) == (EVIL, EVIL, EVIL, MID)
    assert (kept.tags, kept.fields) == ((BAD,), {own.name: WIDE})
    assert [note.text for note in await pages.work.rooms.file.notes(kept.customer_id)] == [LONG]
    await admin.goto("/customers#import")
    await admin.reload()
    rows = f"reference,name,notes\nE1,{quoted(EVIL)},{quoted(LONG)}\nE2,,{quoted(EVIL)}\n"
    file = {"name": f"{BAD.replace('/', '')}.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    await admin.set_input_files("[data-testid=import-file]", files=[file])  # type: ignore[list-item]
    await admin.wait_for_selector("[data-testid=import-run]:not([disabled])")
    async with admin.expect_response("**/imports/*/run"):  # before it is asked for there is nothing to take
        await admin.click("[data-testid=import-run]")
    await pages.work.imports.take_all(1)
    await admin.wait_for_selector("[data-testid=import-progress][data-state=done]")
    assert "A customer needs a name." in (await admin.text_content("[data-testid=import-problems]") or "")
    await admin.click("[data-testid=language]")
    await admin.get_by_text("客户必须有姓名。").wait_for()
    (row,) = await pages.work.rooms.file.search("E1")
    came = await pages.work.rooms.file.get(row.customer_id)
    assert came is not None
    assert (came.name, came.notes) == (EVIL, LONG)
    await pages.nothing_foreign(admin)


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


async def test_work_and_contact(pages: Pages) -> None:
    boss = await pages.page("supervisor", "/work#complaints")
    await boss.click("[data-testid=complaint-new]")
    form = boss.locator("[data-testid=complaint-form]")
    await boss.fill("[data-testid=complaint-subject]", EVIL)
    await form.locator("textarea").fill(LONG)
    await form.locator("input").last.fill(EVIL)
    await form.locator("[type=submit]").click()
    await boss.wait_for_selector("[data-testid=complaint-sheet][data-state=new]")
    number = int(boss.url.rpartition("/")[2])
    await boss.fill("[data-testid=sheet-note]", LONG)
    await boss.click("[data-testid=sheet-add]")
    await boss.click("[data-testid=move-start]")
    await boss.fill("[data-testid=sheet-resolution]", LONG)
    await boss.click("[data-testid=move-resolve]")
    await boss.wait_for_selector("[data-testid=complaint-sheet][data-state=resolved]")
    kept = await pages.api(boss, "GET", f"/complaints/{number}")
    assert (kept["complaint"]["subject"], kept["text"]) == (EVIL, LONG)
    assert (kept["complaint"]["customer_name"], kept["resolution"]) == (EVIL, LONG)
    assert LONG in [event["note"] for event in kept["history"]]
    await boss.locator("input[type=search]").fill(EVIL)
    await boss.wait_for_selector(f"[data-testid=complaint-{number}]")
    await pages.nothing_foreign(boss)

    task = {"title": EVIL, "detail": LONG, "due_at": "2026-03-02T10:00:00Z"}
    made = await pages.api(boss, "POST", "/tasks", task)
    await boss.click("[data-testid=tab-tasks]")
    shown = boss.locator(f"[data-work={made['work_id']}]")
    await shown.locator(".what").click()
    assert EVIL in (await shown.text_content() or "")
    assert LONG.strip() in (await shown.text_content() or "")
    await shown.get_by_text("Pass on…").click()
    await shown.locator("input.to").fill(MID)
    await shown.locator("form button").click()
    await boss.locator("p.told").wait_for()
    await pages.nothing_foreign(boss)

    await boss.click("[data-testid=tab-plans]")
    await boss.click("[data-testid=plan-new]")
    await boss.fill("[data-testid=plan-name]", MID)
    await boss.fill("[data-testid=plan-script-en]", WIDE)
    await boss.fill("[data-testid=question-0-en]", MID)
    await boss.fill("[data-testid=question-0-zh]", MID)
    await boss.click("[data-testid=plan-save]")
    await boss.locator("[data-testid=plan-form]").wait_for(state="detached")
    plans = (await pages.api(boss, "GET", "/follow-ups/plans"))["plans"]
    (plan,) = [one["body"] for one in plans if one["body"]["name"] == MID]
    assert plan["script"]["en"] == WIDE
    assert plan["questions"][0]["titles"] == {"en": MID, "zh": MID}
    await pages.nothing_foreign(boss)

    await boss.click("[data-testid=tab-rules]")
    await boss.click("[data-testid=cause-add]")
    await boss.locator("[data-testid^=cause-][data-testid$=-en]").last.fill(MID)
    await boss.fill("[data-testid=rules-note]", EVIL)
    await boss.click("[data-testid=rules-save]")
    await boss.wait_for_selector("[data-testid=rules-told]")
    rules = await pages.api(boss, "GET", "/casework/rules/complaints")
    assert (rules["note"], rules["body"]["causes"][-1]["titles"]["en"]) == (EVIL, MID)
    await boss.click("[data-testid=tab-causes]")
    await pages.nothing_foreign(boss)

    await boss.click("[data-testid=tab-churn]")
    await boss.locator("[data-testid^=act-]").first.click()
    await boss.locator("[data-testid=churn-list] form input").fill(EVIL)
    await boss.locator("[data-testid=churn-list] form [type=submit]").click()
    await boss.locator("[data-testid=churn-list] form").wait_for(state="detached")
    churn = (await pages.api(boss, "GET", "/churn"))["customers"]
    assert EVIL in [action["note"] for one in churn for action in one["actions"]]
    await boss.click("[data-testid=tab-calls]")
    await boss.locator("[data-testid^=follow-up-]").first.click()
    await boss.click("[data-testid=outcome-refused]")
    await boss.locator("[data-testid=result-form] textarea").fill(LONG)
    async with boss.expect_response(re.compile(r"/result$")) as saved:
        await boss.click("[data-testid=result-save]")
    assert (await saved.value).ok
    done = (await pages.api(boss, "GET", "/follow-ups?state=done"))["follow_ups"]
    assert LONG in [one["note"] for one in done]
    await pages.nothing_foreign(boss)

    anyone = await pages.page("", "/contact#complaint")
    await anyone.fill("[data-testid=contact-subject]", EVIL)
    await anyone.fill("[data-testid=contact-name]", EVIL)
    await anyone.fill("[data-testid=contact-text]", LONG)
    await anyone.click("[data-testid=contact-send]")
    await anyone.wait_for_selector("[data-testid=contact-done]")
    said = re.search(r"\d+", await anyone.text_content("[data-testid=contact-done]") or "")
    assert said is not None
    kept = await pages.api(boss, "GET", f"/complaints/{said[0]}")
    assert (kept["complaint"]["subject"], kept["complaint"]["customer_name"], kept["text"]) == (EVIL, EVIL, LONG)
    await pages.nothing_foreign(anyone)
    await boss.goto(f"/work#complaints/{said[0]}")
    await boss.reload()
    await boss.wait_for_selector("[data-testid=complaint-sheet]")
    await pages.nothing_foreign(boss)


async def test_flows_prompts_and_the_floor(pages: Pages) -> None:
    admin = await pages.page("admin", "/flows")
    await admin.click("[data-testid=flow-hello]")
    await admin.get_by_role("tab").nth(1).click()
    for tab in range(await admin.get_by_role("tab").count()):
        await admin.get_by_role("tab").nth(tab).click()
        if await admin.locator("[data-testid=flow-text]").count():
            break
    await admin.locator("[data-testid=flow-text]").wait_for()
    was = await admin.input_value("[data-testid=flow-text]")
    await admin.fill("[data-testid=flow-text]", f"# {EVIL}\n{was}steps: {LONG}")
    await admin.click("[data-testid=flow-check]")
    await admin.locator("[data-testid=flow-said] li").first.wait_for()
    await pages.nothing_foreign(admin)
    text = f"# {EVIL.partition(chr(0x202E))[0]} 李 ﷽ null\n{was}"  # invisible signs are refused by name, see above
    await admin.fill("[data-testid=flow-text]", text)
    await admin.locator(".editor label input").fill(EVIL)
    await admin.click("[data-testid=flow-live]")
    await admin.click("[data-testid=flow-live-confirm]")
    said = admin.locator("[data-testid=flow-said] p").first
    await said.wait_for()
    assert "✓" in (await said.text_content() or ""), await admin.text_content("[data-testid=flow-said]")
    told = await pages.api(admin, "GET", "/flows/hello/versions")
    assert told["changes"][0]["note"] == EVIL
    assert (await pages.api(admin, "GET", f"/flows/hello/versions/{told['version']}"))["text"] == text
    await pages.nothing_foreign(admin)
    await admin.goto("/prompts")
    await admin.fill("[data-testid=search]", EVIL)
    await pages.nothing_foreign(admin)

    boss = await pages.page("supervisor", "/supervisor")
    call = pages.floor.make_call("a1-1.1", customer_name=EVIL, choice=EVIL)
    row = pages.floor.agents[AgentId("1001")]
    pages.floor.apply(Change(calls={call.call_id: call}, agents={row.agent_id: row}))
    await boss.wait_for_selector("[data-testid=waiting-1]")
    assert EVIL in (await boss.text_content("[data-testid=waiting-1]") or "")
    await boss.click("[data-testid=place-1]")
    await boss.fill("[data-testid=placing-reason]", EVIL)
    await boss.locator("[data-testid=placing-queue-sales]").click()
    await boss.locator("[data-testid=placing]").wait_for(state="detached")
    assert pages.floor.asked[-1] == ("change_queue", call.call_id, "sales", "supervisor", EVIL)
    await boss.fill("[data-testid=filter]", EVIL)
    await pages.nothing_foreign(boss)
    await boss.fill("[data-testid=filter]", "")
    await boss.locator("[data-testid=waiting-1] [data-testid=open-call]").click()
    await boss.wait_for_selector("[data-testid=call-sheet]")
    assert EVIL in (await boss.text_content("[data-testid=call-sheet]") or "")
    await pages.nothing_foreign(boss)
    there = [call.call_id]
    for at in range(0, len(WORST), 8):
        crowd = [
            pages.floor.make_call(f"a1-2.{at}{place}", caller_number=text, customer_name=text, choice=text, place=place)
            for place, text in enumerate(WORST[at : at + 8], 1)
        ]
        pages.floor.apply(Change(calls={one.call_id: one for one in crowd}, calls_gone=tuple(there)))
        there = [one.call_id for one in crowd]
        for one in crowd:
            await boss.locator(f"[data-testid=waiting-{one.place}]").filter(has_text=one.customer_name).wait_for()
    await pages.nothing_foreign(boss)


async def test_the_desk() -> None:
    """The desk's own fields; what the server does with them is in tests/integration/test_naughty_strings.py."""
    async with scripted_desks() as desks:
        desk = await desks.desk()
        alarms: list[str] = []
        desk.page.on("dialog", lambda dialog: alarms.append(dialog.message))
        for text in WORST:
            desk.offer(
                text,
                customers=[CARD | {"name": text}],
                choice=text,
                transferred_by=text,
                note=text,
                data=[[text, text]],
            )
            await desk.until("pop", text=" ".join(text.replace("\0", "").split()[-1:]))
            await on_desk(desk.page, alarms)
        await desk.in_call()
        await desk.page.keyboard.press("t")
        await desk.until("place-agent-1002")
        await desk.one("transfer-search").fill(EVIL)
        await desk.one("transfer-search").fill("bo")
        await desk.until("transfer-hint", text="Bo Lindqvist")
        await desk.one("transfer-note").fill(WIDE)
        await desk.one("transfer-now").click()
        asked = await desk.asks("/agent/calls/c-1/transfer")
        assert asked == {"to": {"kind": "agent", "name": "1002"}, "note": WIDE}
        desk.set_talk(transferred_from="1003", note=LONG)
        await desk.until("handed-note")
        assert await desk.one("handed-note").text_content() == LONG
        await desk.one("note").fill(LONG)
        desk.line.bye()
        desk.wrap_up()
        await desk.until("agent-page", step="wrap_up")
        assert await desk.one("note").input_value() == LONG
        await desk.page.keyboard.press("Escape")
        await desk.page.locator("[data-testid^=disposition-]").first.click()
        await desk.one("done").click()
        said = await desk.asks("/agent/calls/c-1/wrapup")
        assert said["note"] == LONG
        await on_desk(desk.page, alarms)
        await desk.assert_no_faults()


async def on_desk(page: Page, alarms: list[str]) -> None:
    assert await page.evaluate("() => window.hit ?? null") is None
    assert await page.locator("img, iframe, object, embed, script:not([src]), [onerror]").count() == 0
    assert alarms == []
