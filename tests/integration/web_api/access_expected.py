"""Who may do what with log-ins, accounts and tokens: written a second time on purpose."""

from __future__ import annotations

_PEOPLE: set[str | None] = {"1001", "supervisor", "admin"}
_ANYBODY: set[str | None] = {None, "1001", "supervisor", "admin"}

ELSEWHERE: dict[str, set[str | None]] = {
    **dict.fromkeys(("login_ways", "login_provider", "login_provider_back"), _ANYBODY),
    **dict.fromkeys(
        (
            "account", "account_session_end", "account_sessions_end", "password_change", "second_factor_begin",
            "second_factor_confirm", "second_factor_drop", "recovery_codes_renew", "tokens", "token_make", "token_revoke",
        ),
        _PEOPLE,
    ),
    **{key: {"admin"} for key in ("accounts", "second_factor_reset")},
}  # fmt: skip
"""What they answer is asked in the tests of web_security: here it counts who is let in."""
PARTS = {"{session_id}": "nobody", "{token_id}": "0123456789ab", "{username}": "1002"}
