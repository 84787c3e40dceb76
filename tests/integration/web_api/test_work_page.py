"""The pages /work and /contact in Chromium, by keyboard, over casework on PostgreSQL: tasks, the complaint board, follow-up
calls, plans, rules, early warning, what customers ask for, and an escalation that reaches the floor at once."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Page

from tests.support.axe import serious_findings
from tests.support.customers import customer_work  # noqa: F401 - a fixture
from tests.support.pages import Pages, pages  # noqa: F401 - a fixture
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures

pytestmark = [pytest.mark.real, pytest.mark.beside, pytest.mark.needs("chromium"), pytest.mark.timeout(400)]


async def press(page: Page, testid: str, key: str = "Enter") -> None:
    """Press a key on what has this test id, as somebody does who came there with Tab."""
    one = page.locator(f"[data-testid={testid}]").first
    await one.wait_for()
    await one.focus()
    await one.press(key)


async def reached(page: Page, testid: str) -> None:
    """Tab goes on to the element from where the keyboard is."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("() => document.activeElement?.dataset.testid ?? ''") == testid:
            return
    raise AssertionError(f"Tab does not come to {testid}")


async def test_tasks_are_taken_and_done(pages: Pages) -> None:
    boss = await pages.page("supervisor", "/work")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = await pages.api(
        boss,
        "POST",
        "/tasks",
        {"title": "Send the brochure", "due_at": later, "queue": "support", "number": "(555) 010-0001"},
    )
    agent = await pages.page("1001", "/work")
    await agent.wait_for_selector("[data-testid=work-page][data-ready=true]")
    row = agent.locator(f"[data-work={made['work_id']}]")
    await row.locator(".what").focus()
    await agent.keyboard.press("Enter")
    await reached(agent, "task-take")
    await agent.keyboard.press("Enter")
    await row.locator(".owner", has_text="1001").wait_for()
    await press(agent, "whose-mine")
    await row.locator(".what").focus()
    await agent.keyboard.press("Enter")
    await reached(agent, "task-done")
    await agent.keyboard.press("Enter")
    await row.wait_for(state="detached")
    (kept,) = await pages.work.pool.fetch(
        "SELECT state, ended_by FROM crm.tasks WHERE task_id = $1", int(made["work_id"].rpartition("-")[2])
    )
    assert tuple(kept) == ("done", "1001")
    assert pages.alarms == []


async def test_a_complaint_goes_over_the_board_and_two_people_see_each_other(pages: Pages) -> None:
    agent = await pages.page("1001", "/work#complaints")
    await press(agent, "complaint-new")
    await agent.wait_for_selector("[data-testid=complaint-subject]")
    await agent.keyboard.type("Charged twice")
    await agent.keyboard.press("Tab")
    await agent.keyboard.type("In May and in June.")
    await agent.keyboard.press("Tab")
    await agent.locator(":focus").select_option("billing/double_charge")
    await agent.locator("[data-testid=complaint-form] [type=submit]").press("Enter")
    await agent.wait_for_selector("[data-testid=complaint-sheet][data-state=new]")
    number = int(agent.url.rpartition("/")[2])
    boss = await pages.page("supervisor", f"/work#complaints/{number}")
    await boss.wait_for_selector("[data-testid=complaint-sheet][data-state=new]")
    await press(agent, "move-start")
    await agent.wait_for_selector("[data-testid=complaint-sheet][data-state=in_progress]")
    # The supervisor's page still shows it as new: what it asks for is refused, and it shows how it is now.
    await boss.fill("[data-testid=sheet-note]", "Not ours.")
    await press(boss, "move-dismiss")
    await boss.wait_for_selector("[data-testid=complaint-sheet][data-state=in_progress]")
    assert "Somebody else changed it" in (await boss.locator("[role=alert]").last.text_content() or "")
    assert await boss.input_value("[data-testid=sheet-note]") == "Not ours.", "what was written is not lost"
    await agent.fill("[data-testid=sheet-resolution]", "The second charge is paid back.")
    await press(agent, "move-resolve")
    await agent.wait_for_selector("[data-testid=complaint-sheet][data-state=resolved]")
    await press(agent, "move-accept")
    await agent.wait_for_selector("[data-testid=complaint-sheet][data-state=closed]")
    assert await serious_findings(agent) == []
    detail = await pages.api(agent, "GET", f"/complaints/{number}")
    assert (detail["complaint"]["cause"], detail["complaint"]["verdict"]) == ("billing/double_charge", "satisfied")
    moves = [event["kind"] for event in detail["history"] if event["kind"].startswith("moved:")]
    assert moves == ["moved:start", "moved:resolve", "moved:accept"]
    assert pages.alarms == []


async def test_plans_follow_up_calls_and_early_warning(pages: Pages) -> None:
    boss = await pages.page("supervisor", "/work#plans")
    await press(boss, "plan-new")
    await boss.fill("[data-testid=plan-name]", "After a talk")
    await press(boss, "question-add")
    await boss.fill("[data-testid=question-1-en]", "Which colour?")
    await boss.select_option("[data-testid=question-1-kind]", "choice")
    for words in ("Blue", "Red"):
        await press(boss, "question-1-choice")
        await boss.locator("[data-testid=question-1] input[lang=en]").last.fill(words)
    assert await serious_findings(boss) == []
    await press(boss, "plan-save")
    await boss.locator("[data-testid=plan-form]").wait_for(state="detached")
    plans = (await pages.api(boss, "GET", "/follow-ups/plans"))["plans"]
    (plan,) = [one for one in plans if one["body"]["name"] == "After a talk"]
    assert [(one["name"], one["kind"]) for one in plan["body"]["questions"]] == [
        ("how_satisfied_are_you", "scale"),
        ("which_colour", "choice"),
    ]
    assert [one["name"] for one in plan["body"]["questions"][1]["choices"]] == ["blue", "red"]
    await press(boss, f"plan-{plan['plan_id']}")
    assert await boss.input_value("[data-testid=question-1-en]") == "Which colour?"

    await press(boss, "tab-calls")
    await boss.locator("[data-testid^=follow-up-]").first.focus()
    await boss.keyboard.press("Enter")
    await press(boss, "outcome-reached")
    await boss.wait_for_selector("[data-testid=result-save]")
    for asked in await boss.locator("[data-testid^=question-]").all():
        buttons = asked.locator("button")
        if await buttons.count():
            await buttons.last.focus()
            await boss.keyboard.press("Enter")
        else:
            await asked.locator("textarea").fill("Nothing else.")
    number = int(boss.url.rpartition("/")[2])
    async with boss.expect_response(re.compile(r"/result$")) as saved:
        await press(boss, "result-save")
    assert (await saved.value).ok, await (await saved.value).text()
    told = (await pages.api(boss, "GET", f"/follow-ups/{number}"))["follow_up"]
    assert (told["state"], told["outcome"], bool(told["answers"])) == ("done", "reached", True)

    await press(boss, "tab-churn")
    await boss.locator("[data-testid^=act-]").first.focus()
    await boss.keyboard.press("Enter")
    form = boss.locator("[data-testid=churn-list] form")
    await form.locator("select").select_option("offer")
    await form.locator("input").fill("Ten in a hundred off.")
    await form.locator("input").press("Enter")
    await form.wait_for(state="detached")
    listed = (await pages.api(boss, "GET", "/churn"))["customers"]
    acts = [(one["action"], one["note"], one["author"]) for row in listed for one in row["actions"]]
    assert ("offer", "Ten in a hundred off.", "supervisor") in acts
    assert await serious_findings(boss) == []
    assert pages.alarms == []


async def test_rules_are_forms_and_nobody_overwrites_anybody(pages: Pages) -> None:
    boss = await pages.page("supervisor", "/work#rules")
    await boss.wait_for_selector("[data-testid=hours-high]")
    await press(boss, "cause-0-add")
    await boss.locator("[data-testid^=cause-0-][data-testid$=-en]").last.fill("Left in the rain")
    await boss.fill("[data-testid=hours-high]", "12")
    await boss.select_option("[data-testid=severity-gold]", "high")
    other = await pages.page("admin", "/work#rules")
    await other.wait_for_selector("[data-testid=hours-high]")
    assert await serious_findings(boss) == []
    await press(boss, "rules-save")
    await boss.wait_for_selector("[data-testid=rules-told]")
    rules = await pages.api(boss, "GET", "/casework/rules/complaints")
    assert rules["body"]["causes"][0]["below"][-1] == {"name": "left_in_the_rain", "titles": {"en": "Left in the rain"}}
    assert (rules["body"]["deadlines"]["high"]["hours"], rules["body"]["severity_by_tier"]["gold"]) == (12, "high")
    # The administrator's form is of the version before: it is said, what was written stays, and may replace the other on purpose.
    await other.fill("[data-testid=escalate]", "5")
    await press(other, "rules-save")
    await other.locator("[data-testid=rules-trouble]", has_text="supervisor put other rules in force").wait_for()
    assert await other.input_value("[data-testid=escalate]") == "5"
    await press(other, "rules-save")
    await other.wait_for_selector("[data-testid=rules-told]")
    assert (await pages.api(boss, "GET", "/casework/rules/complaints"))["body"]["escalate_hours"] == 5
    # What does not fit is said where it is.
    await boss.fill("[data-testid=hours-critical]", "500")
    await press(boss, "rules-save")
    await boss.wait_for_selector("[data-testid=rules-trouble]")
    await press(boss, "rules-churn")
    await boss.wait_for_selector("[data-testid=weight-falling]")
    await boss.fill("[data-testid=weight-falling]", "0.7")
    await boss.fill("[data-testid=threshold]", "30")
    await press(boss, "rules-save")
    await boss.wait_for_selector("[data-testid=rules-told]")
    rules = await pages.api(boss, "GET", "/casework/rules/churn")
    assert (rules["body"]["weights"]["falling"], rules["body"]["threshold"]) == (0.7, 30)
    # The new cause can be chosen at once.
    await press(boss, "tab-complaints")
    await press(boss, "complaint-new")
    options = await boss.locator("[data-testid=complaint-form] select option").all_text_contents()
    assert "Left in the rain" not in "".join(options), "the administrator's rules replaced these"
    for language in ("zh", "en"):
        await press(boss, "tab-rules")
        await boss.wait_for_selector("[data-testid=hours-high]")
        await press(boss, "language")
        assert await serious_findings(boss) == [], language
    assert pages.alarms == []


async def test_customers_ask_and_complain_by_keyboard_and_the_floor_hears_of_a_late_complaint(pages: Pages) -> None:
    anyone = await pages.page("", "/contact")
    await anyone.wait_for_selector("[data-testid=contact-page][data-ready=true]")
    await reached(anyone, "contact-name")
    await anyone.keyboard.type("Ada Whitfield")
    await reached(anyone, "contact-number")
    await anyone.keyboard.type("(555) 010-0099")
    await reached(anyone, "contact-text")
    await anyone.keyboard.type("About my order")
    await reached(anyone, "contact-send")
    await anyone.keyboard.press("Enter")
    assert "agree" in (await anyone.locator("[role=alert]").text_content() or "")
    await press(anyone, "contact-consent", "Space")
    await press(anyone, "contact-send")
    await anyone.wait_for_selector("[data-testid=contact-done]")
    (asked,) = await pages.work.pool.fetch("SELECT name, number, about, consent FROM crm.web_callbacks")
    assert tuple(asked)[:3] == ("Ada Whitfield", "+15550100099", "About my order")
    assert asked["consent"].startswith("You may call me back")
    await press(anyone, "way-complaint")
    await anyone.fill("[data-testid=contact-subject]", "Late again")
    await press(anyone, "contact-subject")
    await anyone.wait_for_selector("[data-testid=contact-done]")
    said = re.search(r"\d+", await anyone.text_content("[data-testid=contact-done]") or "")
    assert said is not None
    number = int(said[0])
    assert await serious_findings(anyone) == []

    boss = await pages.page("supervisor", "/supervisor")
    await boss.wait_for_selector("[data-testid=supervisor-page][data-live=true]")
    await pages.work.pool.execute(
        "UPDATE crm.complaints SET due_at = now() - interval '1 day' WHERE complaint_id = $1", number
    )
    assert await pages.office.deadlines() >= 1
    await boss.wait_for_selector(f"[data-testid=escalated-{number}]")
    assert "Late again" in (await boss.text_content(f"[data-testid=escalated-{number}]") or "")
    await boss.locator(f"[data-testid=escalated-{number}] a").press("Enter")
    await boss.wait_for_selector("[data-testid=complaint-sheet]")
    assert pages.alarms == []


async def test_two_browsers_edit_one_customer(pages: Pages) -> None:
    ann, bob = await pages.page("1001", "/customers#1"), await pages.page("supervisor", "/customers#1")
    for page in (ann, bob):
        await page.wait_for_selector("[data-testid=card-name]")
        await page.click("[data-testid=edit]")
    await ann.fill("[data-testid=edit-email]", "ann@example.com")
    await ann.fill("[data-testid=edit-notes]", "Calls in the morning.")
    await bob.fill("[data-testid=edit-email]", "bob@example.com")
    await bob.fill("[data-testid=edit-company]", "Bob's Company")
    await ann.click("[data-testid=save]")
    await ann.wait_for_selector("[data-testid=card-name]")
    await bob.click("[data-testid=save]")
    await bob.wait_for_selector("[data-testid=conflict]")
    shown = await bob.text_content("[data-testid=conflict]") or ""
    assert "ann@example.com" in shown, "what the other wrote is there to be seen"
    assert "bob@example.com" in shown
    await bob.click("[data-testid=settle]")
    await bob.wait_for_selector("[data-testid=card-name]")
    kept = await pages.work.rooms.file.get(1)  # type: ignore[arg-type]
    assert kept is not None
    assert (kept.email, kept.notes, kept.company) == ("ann@example.com", "Calls in the morning.", "Bob's Company")
    history = await pages.work.rooms.file.history(kept.customer_id)
    assert [(one.by, sorted(one.after)) for one in history[:2]] == [
        ("supervisor", ["company"]),
        ("1001", ["email", "notes"]),
    ]
    # An addition whose answer is lost, and that is sent again with another word in it, is one customer.
    await bob.click("[data-testid=new]")
    await bob.fill("[data-testid=edit-name]", "Only One")
    lost = []

    async def lose(route: Any) -> None:
        if route.request.method == "POST" and not lost:
            lost.append((await route.fetch()).status)
            await route.abort()
        else:
            await route.continue_()

    await bob.route("**/api/v1/customers", lose)
    await bob.click("[data-testid=save]")
    await bob.wait_for_selector("[data-testid=said]")
    await bob.fill("[data-testid=edit-company]", "Written Since")
    await bob.click("[data-testid=save]")
    await bob.wait_for_selector("[data-testid=card-name]")
    (row,) = await pages.work.rooms.file.search("only one")
    assert (lost, row.name, row.company) == ([200], "Only One", "Written Since")
