"""The one table of who may do what. An operation that is not here cannot be routed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What an account is for."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    WALL = "wall"
    """A screen on the wall: it reads what the wall draws, and nothing else."""


PUBLIC: frozenset[Role] | None = None
"""Anyone, without logging in."""

_ALL = frozenset(Role)
_ANY = frozenset({Role.AGENT, Role.SUPERVISOR, Role.ADMIN})
"""Every person. A wall is none."""
_AGENT = frozenset({Role.AGENT})
_ADMIN = frozenset({Role.ADMIN})
_FLOOR = frozenset({Role.SUPERVISOR, Role.ADMIN})

PERMISSIONS: Mapping[str, frozenset[Role] | None] = {
    "login": PUBLIC,
    "login_ways": PUBLIC,
    "login_provider": PUBLIC,
    "login_provider_back": PUBLIC,
    "account": _ANY,
    "account_session_end": _ANY,  # one's own
    "account_sessions_end": _ANY,  # the same
    "password_change": _ANY,
    "second_factor_begin": _ANY,
    "second_factor_confirm": _ANY,
    "second_factor_drop": _ANY,
    "recovery_codes_renew": _ANY,
    "second_factor_reset": _ADMIN,
    "accounts": _ADMIN,
    "tokens": _ANY,  # one's own; an administrator's are everybody's
    "token_make": _ANY,  # the same
    "token_revoke": _ANY,  # the same
    "logout": _ALL,
    "me": _ALL,
    "agent": _AGENT,
    "agent_state": _AGENT,
    "agent_phone": _AGENT,
    "offer_reject": _AGENT,
    "call_hang_up": _AGENT,
    "call_customer": _AGENT,
    "call_wrap_up": _AGENT,
    "call_wrap_up_extend": _AGENT,
    "agent_dial": _AGENT,
    "agent_heartbeat": _AGENT,
    "call_quality": _AGENT,
    "call_hold": _AGENT,
    "call_transfer": _AGENT,
    "call_consult": _AGENT,
    "call_consult_complete": _AGENT,
    "call_consult_cancel": _AGENT,
    "call_consult_swap": _AGENT,
    "call_consult_join": _AGENT,
    "call_party_drop": _AGENT,
    "call_keys": _AGENT,
    "call_pick_up": _AGENT,
    "agent_waiting": _AGENT,
    "agent_destinations": _AGENT,
    "state": _ALL,  # an agent gets the own row and the queues only, a wall what it draws
    "feed": _ALL,  # the same
    "calls": _FLOOR,
    "call": _FLOOR,
    "call_decisions": _FLOOR,
    "call_why": _FLOOR,
    "queue_accuracy": _FLOOR,
    "reports": _FLOOR,
    "report_query": _FLOOR,
    "report_calls": _FLOOR,
    "report_distribution": _FLOOR,
    "report_funnel": _FLOOR,
    "call_priority": _FLOOR,
    "call_queue": _FLOOR,
    "callbacks": _FLOOR,
    "alerts": _FLOOR,
    "alert_acknowledge": _FLOOR,
    "outbound_spent": _FLOOR,
    "callback_cancel": _FLOOR,
    "supervision": _FLOOR,
    "supervisor_phone": _FLOOR,
    "call_watch": _FLOOR,
    "watch_change": _FLOOR,
    "watch_stop": _FLOOR,
    "call_end": _FLOOR,
    "call_send": _FLOOR,
    "call_timeline": _FLOOR,
    "agent_set": _FLOOR,
    "agent_change": _FLOOR,
    "agent_reassign": _FLOOR,
    "queue_force": _FLOOR,
    "queue_announce": _FLOOR,
    "centre_announce": _FLOOR,
    "message_send": _FLOOR,
    "messages": _FLOOR,
    "message_seen": _AGENT,
    "acts": _FLOOR,
    "acts_file": _FLOOR,
    "config": _ADMIN,
    "config_check": _ADMIN,
    "config_diff": _ADMIN,
    "config_apply": _ADMIN,
    "customers": _ANY,
    "customer": _ANY,
    "customer_create": _ANY,
    "customer_change": _ANY,  # an agent changes no tier
    "customer_notes": _ANY,
    "customer_note_add": _ANY,
    "customer_note_change": _ANY,  # the author
    "customer_contacts": _ANY,  # recordings are told to the floor only
    "customer_history": _ANY,
    "customer_duplicates": _ANY,
    "customer_merges": _ANY,
    "customer_fields": _ANY,
    "customer_fields_define": _ADMIN,
    "customer_merge": _FLOOR,
    "customer_merge_undo": _FLOOR,
    "customer_imports": _FLOOR,
    "customer_import": _FLOOR,
    "customer_import_upload": _FLOOR,
    "customer_import_preview": _FLOOR,
    "customer_import_run": _FLOOR,
    "customer_import_stop": _FLOOR,
    "customer_import_problems": _FLOOR,
    "customer_export": _FLOOR,
    "customer_everything": _FLOOR,
    "customer_forget": _FLOOR,
    "task_counts": _ANY,  # an agent's are the own and what is free for the own queues
    "tasks": _ANY,  # the same
    "task_make": _ANY,
    "task_take": _ANY,
    "task_done": _ANY,
    "task_pass_on": _ANY,
    "task_snooze": _ANY,
    "task_recording": _ANY,
    "complaints": _ANY,
    "complaint": _ANY,
    "complaint_register": _ANY,
    "complaint_change": _ANY,  # an agent changes the own, and what nobody has
    "complaint_causes": _ANY,
    "follow_ups": _ANY,
    "follow_up": _ANY,
    "follow_up_next": _ANY,
    "follow_up_result": _ANY,
    "follow_up_plans": _FLOOR,
    "follow_up_plan_add": _FLOOR,
    "follow_up_plan_change": _FLOOR,
    "follow_up_generate": _FLOOR,
    "case_rules": _ANY,
    "case_rules_set": _FLOOR,
    "case_events": _FLOOR,
    "tiers": _FLOOR,
    "tiers_compute": _FLOOR,
    "transactions": _FLOOR,
    "customer_tier": _ANY,
    "customer_tier_override": _FLOOR,
    "customer_tier_take_back": _FLOOR,
    "churn": _FLOOR,
    "churn_compute": _FLOOR,
    "churn_act": _FLOOR,
    "quality_forms": _FLOOR,
    "quality_form": _FLOOR,
    "quality_form_add": _FLOOR,
    "quality_form_change": _FLOOR,
    "quality_form_copy": _FLOOR,
    "quality_form_archive": _FLOOR,
    "quality_plans": _FLOOR,
    "quality_plan_add": _FLOOR,
    "quality_plan_change": _FLOOR,
    "quality_plan_draw": _FLOOR,
    "quality_samples": _FLOOR,
    "quality_sample_choose": _FLOOR,
    "quality_sample_change": _FLOOR,
    "quality_calibrations": _FLOOR,
    "quality_calibration": _FLOOR,
    "quality_calibration_open": _FLOOR,
    "quality_calibration_close": _FLOOR,
    "quality_scores": _ANY,  # an agent's are the own that were released
    "quality_score": _ANY,  # the same
    "quality_score_seen": _ANY,  # the same
    "quality_score_reply": _ANY,  # the same
    "quality_score_begin": _FLOOR,
    "quality_score_draft": _FLOOR,  # the scorer
    "quality_score_submit": _FLOOR,  # the scorer
    "quality_score_revise": _FLOOR,
    "quality_score_release": _FLOOR,
    "quality_score_delete": _FLOOR,
    "quality_figures": _ANY,  # an agent's are of the own scores that were released
    "quality_summary": _FLOOR,
    "quality_counts": _ANY,
    "quality_notes": _ANY,  # an agent's are the own
    "quality_note_write": _FLOOR,
    "quality_note_seen": _AGENT,
    "quality_note_acknowledge": _AGENT,
    "quality_note_withdraw": _FLOOR,  # the author
    "quality_surveys": _FLOOR,
    "quality_surveys_low": _FLOOR,
    "quality_comments": _FLOOR,
    "contact": PUBLIC,
    "web_callback": PUBLIC,
    "web_complaint": PUBLIC,
    "report_export": _FLOOR,
    "reports_saved": _FLOOR,  # one's own, and what others share
    "report_save": _FLOOR,
    "report_forget": _FLOOR,  # one's own; an administrator also what is shared
    "report_schedules": _FLOOR,
    "report_schedule_add": _FLOOR,
    "report_schedule_change": _FLOOR,
    "report_schedule_remove": _FLOOR,
    "report_send": _FLOOR,
    "staffing": _FLOOR,
    "audit_targets": _FLOOR,
    "audit_target_set": _FLOOR,
    "audit_target_drop": _FLOOR,
    "audit": _FLOOR,
    "audit_actions": _FLOOR,
    "audit_action_take": _FLOOR,
    "audit_action_settle": _FLOOR,
    "flows": _FLOOR,
    "flow": _FLOOR,
    "flow_picture": _FLOOR,
    "flow_versions": _FLOOR,
    "flow_version": _FLOOR,
    "flow_diff": _FLOOR,
    "flows_check": _ADMIN,
    "flows_apply": _ADMIN,
    "flow_roll_back": _ADMIN,
    "flow_remove": _ADMIN,
    "flow_draft": _ADMIN,
    "flow_draft_withdraw": _ADMIN,
    "recordings": _ANY,  # an agent: the own, where the centre lets agents listen
    "recording": _ANY,  # the same
    "recording_sound": _ANY,
    "recording_peaks": _ANY,
    "call_recording": _ANY,  # an agent: of the own call
    "call_recording_act": _ANY,  # the same
    "recording_event": PUBLIC,  # by the call's token
    "prompts": _FLOOR,
    "prompt": _FLOOR,
    "prompt_sound": _FLOOR,
    "prompt_recording": _FLOOR,
    "prompt_upload": _ADMIN,
    "prompt_give_up": _ADMIN,
    "prompt_use": _ADMIN,
    "prompt_code": _ADMIN,
    "centre": PUBLIC,
    "webcall": PUBLIC,
    "openapi": PUBLIC,
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "metrics": PUBLIC,
}
"""Operation -> the roles that may ask for it."""
