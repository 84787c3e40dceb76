"""Sessions: signed tokens that outlive a restart of the bridge, and what is remembered of each.

A token says who, as what, since when, by which password epoch, when it ends, and a number of its own. It is made at a
log-in and never taken from outside, so nobody can be given a session somebody else knows (fixation). What its owner may
do is looked up at every request; a changed role, password or account ends it.

Beside the signature, two private files: the sessions that were logged out, written before the log-out is answered; and
when each session was last used, written now and then, by which an idle one ends. Losing the second one costs nothing but
that.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from cti.clock import Clock
from cti.private_file import write_private
from cti.web.auth.accounts import Account, Accounts
from cti.web.auth.permissions import Role

if TYPE_CHECKING:
    from cti.web.auth.access_file import ApiToken

log = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=12)
IDLE = timedelta(minutes=60)
WALL_LIFETIME = timedelta(days=400)
"""Of a screen on the wall, which nobody can log in every morning: as long as browsers keep a cookie. It never idles."""
LOCAL_LIFETIME = timedelta(minutes=10)
"""Of sessions that commands on this machine make with the key itself."""
MOST_PER_ACCOUNT = 20
"""Sessions of one account at a time; one more ends the one unused for longest."""
_LONGEST_TOKEN = 1024
_REVOKED = TypeAdapter(dict[str, float])

PASSWORD, SECOND_FACTOR, PROVIDER, LOCAL, TOKEN = "password", "second_factor", "provider", "local", "token"
"""How somebody has shown who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One log-in, or one request by an API token (`token`). `nonce` names it."""

    account: Account
    nonce: str
    expires: datetime
    began: datetime
    method: str = PASSWORD
    token: ApiToken | None = None


class Seen(BaseModel):
    """What is remembered of a session: whose, from where, by which browser, since when, and when last."""

    model_config = ConfigDict(extra="forbid")

    username: str
    began: float
    ends: float
    last: float
    address: str = ""
    browser: str = ""


_SEEN = TypeAdapter(dict[str, Seen])


class Sessions:
    """Makes, reads and ends sessions."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        key: str,
        revoked_file: Path,
        clock: Clock,
        lifetime: timedelta = LIFETIME,
        idle: timedelta = IDLE,
    ) -> None:
        self._accounts = accounts
        self._signer = URLSafeSerializer(key, salt="cti-session-2", signer_kwargs={"digest_method": hashlib.sha256})
        self._file = revoked_file
        self._seen_file = revoked_file.with_name("sessions.json")
        self._clock = clock
        self.lifetime = lifetime
        self._idle = idle
        self._write = asyncio.Lock()
        self._revoked = self._load(self._file, _REVOKED)
        self._seen = self._load(self._seen_file, _SEEN)
        self._changed = False
        self._evicted = False
        """Sessions were ended to make room, which the file of those logged out does not say yet."""

    def _load(self, file: Path, form: TypeAdapter[Any]) -> Any:
        try:
            return form.validate_json(file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError):
            # Starting matters more than a log-out that was lost: sessions end by themselves within hours.
            log.warning("list of sessions unreadable, starting a new one", file=str(file))
            return {}

    def create(
        self,
        account: Account,
        *,
        method: str = PASSWORD,
        address: str = "",
        browser: str = "",
    ) -> tuple[str, Session]:
        """A token for that account, and what it stands for. Every log-in makes a new one."""
        now = self._clock.now()
        lifetime = LOCAL_LIFETIME if method == LOCAL else self._lifetime_of(account)
        session = Session(
            account=account,
            nonce=secrets.token_urlsafe(16),
            expires=_whole(now + lifetime),
            began=_whole(now),
            method=method,
        )
        if method != LOCAL:
            self._remember(session, now.timestamp(), address, browser)
        token = self._signer.dumps(
            {
                "u": account.username,
                "r": account.role.value,
                "e": account.epoch,
                "i": int(session.began.timestamp()),
                "x": int(session.expires.timestamp()),
                "n": session.nonce,
                "m": method,
            }
        )
        return (token if isinstance(token, str) else token.decode()), session

    def _lifetime_of(self, account: Account) -> timedelta:
        return WALL_LIFETIME if account.role is Role.WALL else self.lifetime

    def _remember(self, session: Session, now: float, address: str, browser: str) -> None:
        username = session.account.username
        self._seen[session.nonce] = Seen(
            username=username,
            began=session.began.timestamp(),
            ends=session.expires.timestamp(),
            last=now,
            address=address,
            browser=browser[:200],
        )
        self._changed = True
        mine = sorted((seen.last, nonce) for nonce, seen in self._seen.items() if seen.username == username)
        for _, nonce in mine[:-MOST_PER_ACCOUNT]:
            self._revoked[nonce] = self._seen.pop(nonce).ends
            self._evicted = True

    def read(self, token: str) -> Session | None:
        """What a token stands for; None when forged, ended, idle, logged out, or its account is gone or changed."""
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            said: Any = self._signer.loads(token)
            username, role, epoch = said["u"], said["r"], int(said["e"])
            began, ends, nonce, method = int(said["i"]), int(said["x"]), str(said["n"]), str(said["m"])
        except (BadData, KeyError, TypeError, ValueError, OverflowError):
            return None
        if not isinstance(username, str):
            return None
        account = self._accounts.get(username)
        if account is None or account.epoch != epoch or account.role.value != role:
            return None
        try:
            expires, since = datetime.fromtimestamp(ends, UTC), datetime.fromtimestamp(began, UTC)
        except (ValueError, OverflowError, OSError):  # a year that no calendar has
            return None
        session = Session(account=account, nonce=nonce, expires=expires, began=since, method=method)
        return session if self._is_on(session) else None

    def _is_on(self, session: Session) -> bool:
        now = self._clock.now().timestamp()
        nonce = session.nonce
        if nonce in self._revoked or session.expires.timestamp() <= now:
            return False
        if session.method == LOCAL:
            return True
        seen = self._seen.get(nonce)
        if seen is None:  # made by this key elsewhere, or a moment before a crash
            self._remember(session, now, "", "")
        elif now - seen.last > self._idle.total_seconds() and session.account.role is not Role.WALL:
            return False
        else:
            seen.last = max(seen.last, now)
            self._changed = True
        return True

    def still(self, session: Session) -> bool:
        """Whether a session that was read before holds, as for a page that has stayed open; it counts as used now."""
        account = self._accounts.get(session.account.username)
        same = account is not None and (account.epoch, account.role) == (session.account.epoch, session.account.role)
        return same and self._is_on(session)

    def holds(self, username: str, *, role: str, nonce: str, epoch: int, ends: int) -> bool:
        """Whether the session of that name is on, as that role. Asking does not count as using it."""
        account, now, seen = self._accounts.get(username), self._clock.now().timestamp(), self._seen.get(nonce)
        if account is None or (account.epoch, account.role) != (epoch, role) or nonce in self._revoked or ends <= now:
            return False
        # One that nobody remembers was used a moment before a crash.
        return seen is None or now - seen.last <= self._idle.total_seconds()

    def of(self, username: str) -> Sequence[tuple[str, Seen]]:
        """The sessions of one account that are on, by their names, the one used last first."""
        now = self._clock.now().timestamp()
        mine = [
            (nonce, seen)
            for nonce, seen in self._seen.items()
            if seen.username == username and seen.ends > now and now - seen.last <= self._idle.total_seconds()
        ]
        return sorted(mine, key=lambda one: (-one[1].last, one[0]))

    async def revoke(self, session: Session) -> None:
        """End a session for good: it holds at once, and over a restart when this returns."""
        await self.end(session.nonce, session.expires.timestamp())

    async def end(self, nonce: str, ends: float) -> None:
        """The same by its name, for one that would end at `ends` (a timestamp)."""
        self._seen.pop(nonce, None)
        self._changed = True
        self._revoked[nonce] = ends
        await self._write_revoked()

    async def keep_evicted(self) -> None:
        """Write down that sessions were ended to make room, if some were: they must not be back after a restart."""
        if self._evicted:
            await self._write_revoked()

    async def _write_revoked(self) -> None:
        async with self._write:
            self._evicted = False
            now = self._clock.now().timestamp()
            self._revoked = {nonce: ends for nonce, ends in self._revoked.items() if ends > now}
            await asyncio.to_thread(write_private, self._file, json.dumps(self._revoked).encode())

    async def end_others(self, username: str, keep: str) -> tuple[str, ...]:
        """End every session of that account but the one named `keep`; gives their names."""
        gone = [(nonce, seen.ends) for nonce, seen in self._seen.items() if seen.username == username and nonce != keep]
        for nonce, ends in gone:
            self._seen.pop(nonce, None)
            self._revoked[nonce] = ends
        for nonce, ends in gone[:1]:
            await self.end(nonce, ends)
        return tuple(nonce for nonce, _ in gone)

    async def keep(self) -> None:
        """Write down when sessions were last used, if that has changed; called now and then, and at the end."""
        await self.keep_evicted()
        if not self._changed:
            return
        self._changed = False
        now = self._clock.now().timestamp()
        self._seen = {nonce: seen for nonce, seen in self._seen.items() if seen.ends > now}
        content = _SEEN.dump_json(self._seen)
        async with self._write:
            await asyncio.to_thread(write_private, self._seen_file, content)


def _whole(moment: datetime) -> datetime:
    """As the token tells it: whole seconds."""
    return datetime.fromtimestamp(int(moment.timestamp()), UTC)
