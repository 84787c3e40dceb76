"""Tokens for pages of other systems: each names one call, and lets whoever has it pause and resume that call's recording."""

from __future__ import annotations

from itsdangerous import BadSignature, URLSafeTimedSerializer

from cti.ids import CallId

TOKEN_SECONDS = 8 * 3600
"""A token is good for so long; no call lasts longer."""


def page_token(session_key: str, call_id: CallId) -> str:
    """A token for this call."""
    return str(_tokens(session_key).dumps(call_id))


def call_of_token(session_key: str, token: str) -> CallId | None:
    """The call a token names; None for one that is not valid (any more)."""
    try:
        return CallId(str(_tokens(session_key).loads(token, max_age=TOKEN_SECONDS)))
    except BadSignature:
        return None


def _tokens(session_key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(session_key, salt="recording of a call")
