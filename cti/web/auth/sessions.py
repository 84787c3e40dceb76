"""Sessions: signed tokens that outlive a restart of the bridge, and the short list of those that were logged out.

A token says who, which password epoch, when it ends, and a number of its own. What its owner may do is looked up at
every request, so a changed role takes effect at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from itsdangerous import BadData, URLSafeSerializer
from pydantic import TypeAdapter, ValidationError

from cti.clock import Clock
from cti.private_file import write_private
from cti.web.auth.accounts import Account, Accounts

log = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=12)
_LONGEST_TOKEN = 1024
_REVOKED = TypeAdapter(dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One log-in. `nonce` names it."""

    account: Account
    nonce: str
    expires: datetime


class Sessions:
    """Makes, reads and revokes tokens."""

    def __init__(self, accounts: Accounts, *, key: str, revoked_file: Path, clock: Clock) -> None:
        self._accounts = accounts
        self._signer = URLSafeSerializer(key, salt="cti-session-1", signer_kwargs={"digest_method": hashlib.sha256})
        self._file = revoked_file
        self._clock = clock
        self._write = asyncio.Lock()
        self._revoked = self._load()

    def _load(self) -> dict[str, float]:
        try:
            return _REVOKED.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError):
            # Starting matters more than a log-out that was lost: sessions end by themselves within hours.
            log.warning("list of logged-out sessions unreadable, starting a new one", file=str(self._file))
            return {}

    def create(self, account: Account) -> tuple[str, Session]:
        """A token for that account, and what it stands for."""
        session = Session(account=account, nonce=secrets.token_urlsafe(12), expires=self._clock.now() + LIFETIME)
        token = self._signer.dumps(
            {"u": account.username, "e": account.epoch, "x": int(session.expires.timestamp()), "n": session.nonce}
        )
        return (token if isinstance(token, str) else token.decode()), session

    def read(self, token: str) -> Session | None:
        """What a token stands for; None when forged, ended, logged out, or its account is gone or changed."""
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            said: Any = self._signer.loads(token)
            username, epoch, ends, nonce = said["u"], int(said["e"]), int(said["x"]), str(said["n"])
        except (BadData, KeyError, TypeError, ValueError):
            return None
        if nonce in self._revoked or ends <= self._clock.now().timestamp():
            return None
        account = self._accounts.get(username)
        if account is None or account.epoch != epoch:
            return None
        return Session(account=account, nonce=nonce, expires=datetime.fromtimestamp(ends, UTC))

    async def revoke(self, session: Session) -> None:
        """End a session for good: it holds at once, and over a restart when this returns."""
        self._revoked[session.nonce] = session.expires.timestamp()
        async with self._write:
            now = self._clock.now().timestamp()
            self._revoked = {nonce: ends for nonce, ends in self._revoked.items() if ends > now}
            await asyncio.to_thread(write_private, self._file, json.dumps(self._revoked).encode())
