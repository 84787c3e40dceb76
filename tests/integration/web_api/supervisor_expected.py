"""Who may do what with alerts, recordings, quality, reports, staffing and the service audit: written a second time on purpose."""

from __future__ import annotations

_LOGGED_IN: set[str | None] = {"1001", "supervisor", "admin"}
_FLOOR: set[str | None] = {"supervisor", "admin"}
_AGENTS: set[str | None] = {"1001"}
_ANYBODY: set[str | None] = {None, "1001", "supervisor", "admin"}

ELSEWHERE: dict[str, set[str | None]] = {
    **dict.fromkeys(
        (
            "alert_acknowledge", "quality_forms", "quality_form", "quality_form_add", "quality_form_change",
            "quality_form_copy", "quality_form_archive", "quality_plans", "quality_plan_add", "quality_plan_change",
            "quality_plan_draw", "quality_samples", "quality_sample_choose", "quality_sample_change", "quality_calibrations",
            "quality_calibration", "quality_calibration_open", "quality_calibration_close", "quality_score_begin",
            "quality_score_draft", "quality_score_submit", "quality_score_revise", "quality_score_release",
            "quality_score_delete", "quality_summary", "quality_note_write", "quality_note_withdraw", "quality_surveys",
            "quality_surveys_low", "quality_comments", "report_export", "reports_saved", "report_save", "report_forget",
            "report_schedules", "report_schedule_add", "report_schedule_change", "report_schedule_remove", "report_send",
            "staffing", "audit_targets", "audit_target_set", "audit_target_drop", "audit", "audit_actions",
            "audit_action_take", "audit_action_settle",
        ),
        _FLOOR,
    ),
    # An agent: the own ones, told by the rooms behind.
    **dict.fromkeys(
        (
            "quality_scores", "quality_score", "quality_score_seen", "quality_score_reply", "quality_figures",
            "quality_counts", "quality_notes", "recordings", "recording", "recording_sound", "recording_peaks",
            "call_recording", "call_recording_act",
        ),
        _LOGGED_IN,
    ),
    **dict.fromkeys(("quality_note_seen", "quality_note_acknowledge"), _AGENTS),
    # A page of another system: the token of one call opens it, not a log-in.
    "recording_event": _ANYBODY,
}  # fmt: skip
"""Operations whose rooms stand behind the site of other tests only: here it counts who is let in, not what comes."""

EXPECTED: dict[str, set[str | None]] = {**ELSEWHERE, "alerts": _FLOOR, "outbound_spent": _FLOOR}
PARTS = {"{form_id}": "1", "{plan_id}": "1", "{sample_id}": "1", "{calibration_id}": "1", "{score_id}": "1",
         "{alert}": "queue:support:waiting", "{recording_id}": "r1"}  # fmt: skip
