"""Who may do what with customers, versions of flows, prompts, and at the telephone: written a second time on purpose."""

from __future__ import annotations

from typing import Any

_LOGGED_IN: set[str | None] = {"1001", "supervisor", "admin"}
_FLOOR: set[str | None] = {"supervisor", "admin"}
_AGENTS: set[str | None] = {"1001"}
_ADMIN: set[str | None] = {"admin"}

ELSEWHERE: dict[str, set[str | None]] = {
    **dict.fromkeys(
        (
            "customers", "customer_create", "customer", "customer_change", "customer_notes", "customer_note_add",
            "customer_note_change", "customer_contacts", "customer_history", "customer_fields", "customer_duplicates",
            "customer_merges",
        ),
        _LOGGED_IN,
    ),
    **dict.fromkeys(
        (
            "customer_forget", "customer_everything", "customer_merge", "customer_merge_undo", "customer_export",
            "customer_imports", "customer_import_upload", "customer_import", "customer_import_preview", "customer_import_run",
            "customer_import_stop", "customer_import_problems", "flow_versions", "flow_version", "flow_diff", "prompts",
            "prompt", "prompt_sound", "prompt_recording",
        ),
        _FLOOR,
    ),
    **dict.fromkeys(
        (
            "customer_fields_define", "flows_check", "flows_apply", "flow_roll_back", "flow_remove", "flow_draft",
            "flow_draft_withdraw", "prompt_upload", "prompt_give_up", "prompt_use", "prompt_code",
        ),
        _ADMIN,
    ),
    **dict.fromkeys(
        (
            "supervision", "supervisor_phone", "call_watch", "watch_change", "watch_stop", "call_end", "call_send",
            "call_timeline", "agent_set", "agent_change", "agent_reassign", "queue_force", "queue_announce", "centre_announce",
            "message_send", "messages", "acts", "acts_file", "reports", "report_query", "report_calls", "report_distribution",
            "report_funnel",
        ),
        _FLOOR,
    ),
    "message_seen": _AGENTS,
}  # fmt: skip
"""Operations whose rooms stand behind the site of other tests only: here it counts who is let in, not what comes."""

AT_THE_TELEPHONE: dict[str, set[str | None]] = dict.fromkeys(
    ("call_customer", "agent_dial", "agent_heartbeat", "call_quality"), _AGENTS
)
EXPECTED = {**ELSEWHERE, **AT_THE_TELEPHONE}
GOOD_BODY: dict[str, Any] = {
    "call_customer": {"customer_id": 1},
    "agent_dial": {"agent_id": "1002"},
    "agent_heartbeat": {"microphone": "ok", "registered": True},
    "call_quality": {"rtt_ms": 20.0, "jitter_ms": 3.0, "loss": 0.0, "mos": 4.3},
}
PARTS = {"{version}": "v1", "{language}": "en", "{name}": "welcome", "{number}": "1", "{note_id}": "1", "{merge_id}": "1",
         "{import_id}": "1", "{agent_id}": "1001", "{message_id}": "m1"}  # fmt: skip
