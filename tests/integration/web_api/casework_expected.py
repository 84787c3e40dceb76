"""Who may ask what of casework, and what a good request is: part of the tables of `test_web_routes`."""

from __future__ import annotations

from typing import Any

EVERYONE = {None, "1001", "supervisor", "admin"}
LOGGED_IN = {"1001", "supervisor", "admin"}
FLOOR = {"supervisor", "admin"}

EXPECTED: dict[str, set[str | None]] = {
    **dict.fromkeys(
        (
            "task_counts", "tasks", "task_make", "task_take", "task_done", "task_pass_on", "task_snooze", "task_recording",
            "complaints", "complaint", "complaint_register", "complaint_change", "complaint_causes",
            "follow_ups", "follow_up", "follow_up_next", "follow_up_result", "case_rules", "customer_tier",
        ),
        LOGGED_IN,
    ),
    **dict.fromkeys(
        (
            "follow_up_plans", "follow_up_plan_add", "follow_up_plan_change", "follow_up_generate", "case_rules_set",
            "case_events", "tiers", "tiers_compute", "transactions", "customer_tier_override", "customer_tier_take_back",
            "churn", "churn_compute", "churn_act",
        ),
        FLOOR,
    ),
    **dict.fromkeys(("contact", "web_callback", "web_complaint"), EVERYONE),
}  # fmt: skip
GOOD_BODY: dict[str, Any] = {
    "task_make": {"title": "Call back", "due_at": "2026-03-02T10:00:00Z"},
    "task_done": {"note": "done"},
    "task_pass_on": {"queue": "support"},
    "task_snooze": {"until": "2026-03-02T10:00:00Z"},
    "complaint_register": {"subject": "Late again"},
    "complaint_change": {"revision": 1, "move": "assign", "owner": "1001"},
    "follow_up_plan_add": {"plan": {"name": "x"}},
    "follow_up_plan_change": {"plan": {"name": "x"}, "active": False},
    "follow_up_result": {"outcome": "no_answer"},
    "case_rules_set": {"rules": {}, "version": 0},
    "tiers_compute": {},
    "transactions": {"transactions": [{"at": "2026-03-02T10:00:00Z", "amount": 10, "customer_id": 1}]},
    "customer_tier_override": {"tier": "gold", "reason": "asked"},
    "churn_act": {"action": "called"},
    "web_callback": {"key": "12345678", "number": "(555) 010-0001", "consent": True},
    "web_complaint": {"key": "12345678", "subject": "Late again"},
}
PARTS = {"{work_id}": "task-1", "{complaint_id}": "1", "{follow_up_id}": "1", "{plan_id}": "1", "{kind}": "churn"}
