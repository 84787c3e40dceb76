"""What accounts have besides their password: second factors, and tokens for programs; in one file only its owner may read.

A seed must be there in clear to compute codes from it, so the file is as precious as the passwords' own. Recovery codes
are kept as argon2id hashes; of a token, which is 256 bits of chance, a SHA-256 is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
from pydantic import BaseModel, ConfigDict, ValidationError

from cti.clock import Clock
from cti.errors import ConfigError
from cti.private_file import write_private
from cti.web.auth.accounts import Account, Accounts
from cti.web.auth.groups import allows
from cti.web.auth.permissions import Role
from cti.web.auth.sessions import TOKEN, Session

STEP = 30
"""Seconds a code is for (RFC 6238)."""
DRIFT = 1
"""Steps that a telephone's clock may be away, either way."""
RECOVERY_CODES = 10
RECOVERY_SIGNS = "abcdefghjkmnpqrstuvwxyz23456789"
ENROL_WITHIN = timedelta(minutes=10)
TOKEN_PREFIX = "cti_"  # noqa: S105 - what tokens begin with
MOST_TOKENS = 50
"""Tokens of one account."""
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)


class RecoveryCode(BaseModel):
    """One code that opens once. `place`, its first two signs, says which hash to check."""

    model_config = ConfigDict(extra="forbid")

    place: str
    hash: str


class SecondFactor(BaseModel):
    """A seed of time-based codes. `last_step` is the latest step a code was taken for: no code opens twice."""

    model_config = ConfigDict(extra="forbid")

    seed: str
    since: datetime
    last_step: int = 0
    recovery: list[RecoveryCode] = []


class ApiToken(BaseModel):
    """A token for a program, without the token itself. It may do what its account may and its scopes name, while the
    account has the role it had."""

    model_config = ConfigDict(extra="forbid")

    token_id: str
    name: str
    username: str
    role: Role
    hash: str
    scopes: tuple[str, ...]
    """`<group>:read` and `<group>:write`, see `cti.web.auth.groups`."""
    queues: tuple[str, ...] = ()
    """Only these queues; none: all of the account's."""
    made_at: datetime
    made_by: str
    expires_at: datetime
    last_used_at: datetime | None = None


class AccessData(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid")

    second_factors: dict[str, SecondFactor] = {}
    tokens: dict[str, ApiToken] = {}


def code_at(seed: str, step: int) -> str:
    """The six digits of one step of 30 seconds since 1970."""
    return pyotp.TOTP(seed).generate_otp(step)


def step_of(now: datetime) -> int:
    """Which step a moment is in."""
    return int(now.timestamp()) // STEP


def plain_code(typed: str) -> str:
    """A recovery code as it is kept: small letters, without the hyphens and spaces people type."""
    return "".join(sign for sign in typed.lower() if sign not in " -")


class AccessFile:
    """Second factors and tokens, in memory and in their file. What is changed is on the disk when a method returns."""

    def __init__(self, path: Path, accounts: Accounts, clock: Clock) -> None:
        self._path = path
        self._accounts = accounts
        self._clock = clock
        self._write = asyncio.Lock()
        self._data = _read(path)
        self._enrolling: dict[str, tuple[str, datetime]] = {}
        self._used = False

    # -- the second factor

    def second_factor(self, username: str) -> SecondFactor | None:
        """The account's second factor, if it has one."""
        return self._data.second_factors.get(username)

    def begin_enrolment(self, username: str) -> str:
        """A new seed; it counts once a code of it has been shown. Asked again it is another one."""
        now = self._clock.now()
        self._enrolling = {name: kept for name, kept in self._enrolling.items() if kept[1] > now}
        seed = pyotp.random_base32()
        self._enrolling[username] = (seed, now + ENROL_WITHIN)
        return seed

    async def confirm_enrolment(self, username: str, code: str) -> tuple[str, ...] | None:
        """Take the seed up: gives the recovery codes, which nobody can show again. None when the code does not fit."""
        now = self._clock.now()
        seed, until = self._enrolling.get(username, ("", now))
        step = _fitting_step(seed, code, now, after=0) if until > now else None
        if step is None:
            return None
        del self._enrolling[username]
        codes, kept = await self._recovery_codes()
        self._data.second_factors[username] = SecondFactor(seed=seed, since=now, last_step=step, recovery=kept)
        await self._save()
        return codes

    async def check(self, username: str, typed: str) -> bool:
        """Whether these digits, or this recovery code, open now. Each does once."""
        factor = self._data.second_factors.get(username)
        if factor is None:
            return False
        if typed.strip().replace(" ", "").isdecimal():
            step = _fitting_step(factor.seed, typed.strip().replace(" ", ""), self._clock.now(), after=factor.last_step)
            if step is None:
                return False
            factor.last_step = step  # before anything is awaited: the same code asked twice at once opens once
            await self._save()
            return True
        code = plain_code(typed)
        kept = next((one for one in factor.recovery if one.place == code[:2]), None)
        right = await self._accounts.check_hash(kept.hash if kept is not None else None, code)
        if not right or kept not in factor.recovery:
            return False
        factor.recovery.remove(kept)
        await self._save()
        return True

    async def new_recovery_codes(self, username: str) -> tuple[str, ...]:
        """Other recovery codes in place of those there are. KeyError without a second factor."""
        factor = self._data.second_factors[username]
        codes, factor.recovery = await self._recovery_codes()
        await self._save()
        return codes

    async def drop_second_factor(self, username: str) -> bool:
        """Forget it; False when there was none."""
        if self._data.second_factors.pop(username, None) is None:
            return False
        await self._save()
        return True

    async def _recovery_codes(self) -> tuple[tuple[str, ...], list[RecoveryCode]]:
        places: set[str] = set()
        while len(places) < RECOVERY_CODES:
            places.add("".join(secrets.choice(RECOVERY_SIGNS) for _ in range(2)))
        codes = [place + "".join(secrets.choice(RECOVERY_SIGNS) for _ in range(10)) for place in sorted(places)]
        hashes = await self._accounts.hashes(codes)
        kept = [RecoveryCode(place=code[:2], hash=one) for code, one in zip(codes, hashes, strict=True)]
        return tuple(f"{code[:4]}-{code[4:8]}-{code[8:]}" for code in codes), kept

    # -- tokens

    def tokens(self, username: str | None = None) -> Sequence[ApiToken]:
        """The tokens of one account, or all; the newest first."""
        found = [one for one in self._data.tokens.values() if username is None or one.username == username]
        return sorted(found, key=lambda one: (-one.made_at.timestamp(), one.token_id))

    def token(self, token_id: str) -> ApiToken | None:
        """The token of that name."""
        return self._data.tokens.get(token_id)

    async def make_token(
        self,
        account: Account,
        *,
        name: str,
        scopes: Collection[str],
        queues: Collection[str],
        days: int,
        by: str,
    ) -> tuple[str, ApiToken]:
        """A new token: the text, which nobody can show again, and what is kept of it."""
        now = self._clock.now()
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        made = ApiToken(
            token_id=token_id,
            name=name,
            username=account.username,
            role=account.role,
            hash=_digest(secret),
            scopes=tuple(sorted(set(scopes))),
            queues=tuple(sorted(set(queues))),
            made_at=now,
            made_by=by,
            expires_at=now + timedelta(days=days),
        )
        self._data.tokens[token_id] = made
        await self._save()
        return f"{TOKEN_PREFIX}{token_id}_{secret}", made

    async def revoke_token(self, token_id: str) -> bool:
        """It opens nothing from now on; False when there was none."""
        if self._data.tokens.pop(token_id, None) is None:
            return False
        await self._save()
        return True

    def read_token(self, text: str) -> Session | None:
        """What a token stands for; None when it is none, ended, revoked, or its account is gone or another by now."""
        token_id, _, secret = text.removeprefix(TOKEN_PREFIX).partition("_")
        if not text.startswith(TOKEN_PREFIX) or len(text) > 128:
            return None
        token = self._data.tokens.get(token_id)
        if token is None or not hmac.compare_digest(token.hash, _digest(secret)):
            return None
        session = self._session(token)
        if session is not None:
            token.last_used_at = self._clock.now()
            self._used = True
        return session

    def still(self, session: Session) -> bool:
        """Whether a token's session that was read before holds."""
        token = session.token and self._data.tokens.get(session.token.token_id)
        return token is not None and self._session(token) is not None

    def holds(self, token_id: str) -> bool:
        """Whether the token of that name opens anything."""
        token = self._data.tokens.get(token_id)
        return token is not None and self._session(token) is not None

    def _session(self, token: ApiToken) -> Session | None:
        account = self._accounts.get(token.username)
        if account is None or account.role is not token.role or token.expires_at <= self._clock.now():
            return None
        return Session(
            account=account,
            nonce=f"token:{token.token_id}",
            expires=token.expires_at,
            began=token.made_at,
            method=TOKEN,
            token=token,
        )

    # -- the file

    async def keep(self) -> None:
        """Forget what belongs to nobody any more, and write down when tokens were last used; called now and then."""
        gone = [name for name in self._data.second_factors if self._accounts.get(name) is None]
        over = [one.token_id for one in self._data.tokens.values() if self._accounts.get(one.username) is None]
        for name in gone:
            del self._data.second_factors[name]
        for token_id in over:
            del self._data.tokens[token_id]
        if gone or over or self._used:
            self._used = False
            await self._save()

    async def _save(self) -> None:
        async with self._write:
            await asyncio.to_thread(write_private, self._path, self._data.model_dump_json(indent=1).encode())


def token_allows(session: Session, path: str, method: str) -> bool:
    """Whether the scopes of a session's token cover an operation; one without a token may all that its role may."""
    return session.token is None or allows(session.token.scopes, path, method)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _fitting_step(seed: str, code: str, now: datetime, *, after: int) -> int | None:
    middle, found = step_of(now), None
    for step in range(middle - DRIFT, middle + DRIFT + 1):  # all of them, so that the time tells nothing
        if hmac.compare_digest(code_at(seed, step).encode(), code.encode()) and step > after:
            found = step
    return found


def _read(path: Path) -> AccessData:
    # An unreadable file is no empty one: whoever has a second factor would be let in without.
    try:
        mode, raw = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return AccessData()
    if mode & 0o077:
        raise ConfigError(f"{path}: other users may read it", remedy=f"chmod 600 {path}")
    try:
        return AccessData.model_validate_json(raw)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(
            f"{path}: {key}: {problem['msg']}",
            remedy="restore it from a backup, or delete it: second factors and tokens are gone then",
        ) from None
