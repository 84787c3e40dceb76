"""Accounts: who can log in, with which role, kept in one file that only its owner may read.

Passwords are kept as argon2id hashes. Checking one takes tens of milliseconds of CPU on purpose, so it runs in a
thread, few at a time: a flood of log-ins must not hold up the floor.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cti.errors import ConfigError
from cti.ids import AgentId
from cti.model.centre import Agent
from cti.private_file import write_private
from cti.web.auth.permissions import Role

_MEMORY_KIB = 32 * 1024
_PASSES = 2
"""Above the usual minimum for argon2id (19 MiB, 2 passes), on one core only: the telephone system is on the same
machine, and its sound must not stutter when a whole shift logs in."""
_AT_ONCE = 1
"""Password checks that may run at the same time."""
_MAY_WAIT = 64
"""Log-ins that may wait for a check; more are turned away."""


USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a user name looks like."""
BUILT_IN = frozenset({"supervisor", "admin"})
"""Accounts that every centre has, whatever its file names."""


def _usual_hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)


class TooBusy(Exception):
    """More log-ins are waiting than may wait."""


class Account(BaseModel):
    """One line of the accounts file. `epoch` rises when the password changes, which ends the sessions made before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: Annotated[str, Field(pattern=rf"^{USERNAME.pattern}$")]
    role: Role
    agent_id: Annotated[str, Field(pattern=r"^[0-9]{2,6}$")] | None = None
    name: str = ""
    language: str = ""
    queues: tuple[str, ...] = ()
    """The queues a supervisor acts on, or a screen shows; none: all of them. Those of the centre's file count besides (`scope`)."""
    of_centre: bool = False
    """Made for a supervisor or a screen that the centre's file names; it goes when the file does not any more."""
    once_named: bool = False
    """Not made for it, but the centre's file has named this supervisor or screen: when it does not any more, the account has the
    queues of its own line only, instead of all of them."""
    epoch: int = 0
    hash: str
    """Empty: no password opens it."""
    subject: str = ""
    """Issuer and subject of the provider's account that this one is, separated by a space; empty: none."""


_FILE = TypeAdapter(list[Account])


def _parse(path: Path, raw: bytes) -> list[Account]:
    try:
        # Files of before may have a built-in one as the centre's, which would go with its line of the centre's file.
        return [
            one.model_copy(update={"of_centre": False}) if one.of_centre and one.username in BUILT_IN else one
            for one in _FILE.validate_json(raw)
        ]
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        raise ConfigError(
            f"{path}: {key}: {problem['msg']}", remedy="correct it, or delete the file to have it made anew"
        ) from None


@dataclass(slots=True)
class _Gate:
    checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    waiting: int = 0


class Accounts:
    """The accounts of one centre, by user name."""

    def __init__(
        self, accounts: Mapping[str, Account], *, hasher: PasswordHasher | None = None, path: Path | None = None
    ) -> None:
        self._accounts = dict(accounts)
        self._path = path
        self._turn = asyncio.Lock()
        self._hasher = hasher or _usual_hasher()
        self._nobody = self._hasher.hash("nobody has this password")
        self._gate = _Gate()

    @classmethod
    def load(cls, path: Path, *, hasher: PasswordHasher | None = None) -> Accounts:
        """Read the accounts file. Raises `ConfigError` when it is missing, broken, or open to other users."""
        try:
            raw = path.read_bytes()
            mode = path.stat().st_mode
        except FileNotFoundError:
            raise ConfigError(f"{path}: no such file", remedy="start with `cti up`, which makes it") from None
        if mode & 0o077:
            raise ConfigError(f"{path}: other users may read it", remedy=f"chmod 600 {path}")
        accounts = _parse(path, raw)
        names = [account.username for account in accounts]
        if len(set(names)) < len(names):
            raise ConfigError(f"{path}: a user name is there twice", remedy="delete one of the two accounts")
        return cls({account.username: account for account in accounts}, hasher=hasher, path=path)

    @classmethod
    async def take_up(
        cls,
        path: Path,
        passwords: Mapping[str, str],
        agents: Mapping[AgentId, Agent],
        now: datetime,
        *,
        named: Collection[str] = (),
        walls: Collection[str] = (),
        hasher: PasswordHasher | None = None,
    ) -> Accounts:
        """The accounts of a centre that starts: the file as `follow` leaves it, for the centre's file may have changed meanwhile."""
        accounts = cls.load(path, hasher=hasher)
        await accounts.follow(path, passwords, agents, now, named=named, walls=walls)
        await accounts.note_named(path, {*named, *walls})
        return accounts

    @staticmethod
    def write_first(
        path: Path,
        passwords: Mapping[str, str],
        agents: Mapping[AgentId, Agent],
        *,
        named: Collection[str] = (),
        walls: Collection[str] = (),
        epoch: int = 0,
        hasher: PasswordHasher | None = None,
    ) -> tuple[str, ...]:
        """Make accounts for the log-ins of `passwords` that the file does not have yet; returns their names.

        An agent's extension makes an agent's account; "admin" an administrator; any other name a supervisor.
        `named` are the supervisors of the centre's file, `walls` its screens on the wall. Accounts that are there stay as they are, so a changed password is never set back.
        `epoch` is that of the new ones: one that no session of a former account of the same name has.
        """
        have: list[Account] = _parse(path, path.read_bytes()) if path.exists() else []
        known = {account.username for account in have}
        named = frozenset(named)
        hasher = hasher or _usual_hasher()
        made: list[Account] = []
        for username, password in passwords.items():
            if username in known:
                continue
            agent = agents.get(AgentId(username))
            if agent is not None:
                role = Role.AGENT
            elif username == "admin":
                role = Role.ADMIN
            elif username.isdigit():
                continue  # an extension that is no agent of this centre any more
            elif username in walls:
                role = Role.WALL
            else:
                role = Role.SUPERVISOR
            made.append(
                Account(
                    username=username,
                    role=role,
                    agent_id=username if agent is not None else None,
                    of_centre=username not in BUILT_IN and (username in named or username in walls),
                    epoch=epoch,
                    hash=hasher.hash(password),
                )
            )
        if made or not path.exists():
            lines = [account.model_dump(mode="json") for account in (*have, *made)]
            write_private(path, json.dumps(lines, indent=1).encode())
        return tuple(account.username for account in made)

    async def follow(
        self,
        path: Path,
        passwords: Mapping[str, str],
        agents: Mapping[AgentId, Agent],
        now: datetime,
        *,
        named: Collection[str] = (),
        walls: Collection[str] = (),
    ) -> None:
        """Bring the accounts in line with the centre's agents, supervisors (`named`) and screens (`walls`), in the file and here: new ones can log in from now on,
        those who are gone cannot, and their sessions are over."""
        async with self._turn:
            gone = {a.username for a in self._accounts.values() if a.agent_id is not None and a.agent_id not in agents}
            kinds = {Role.SUPERVISOR: named, Role.WALL: walls}
            gone |= {
                a.username for a in self._accounts.values() if a.of_centre and a.username not in kinds.get(a.role, ())
            }
            new = [
                n
                for n in passwords
                if (n in agents or n in named or n in walls) and (n not in self._accounts or n in gone)
            ]
            if not gone and not new:
                return
            hashes = await asyncio.to_thread(lambda: [self._hasher.hash(passwords[name]) for name in new])
            # Read again, for the file may have gained what this process does not know; and the epoch is one that no session
            # of a former account of this name can have.
            kept = [a for a in _parse(path, path.read_bytes()) if a.username not in gone and a.username not in new]
            made = [
                Account(
                    username=name,
                    role=Role.AGENT if name in agents else Role.WALL if name in walls else Role.SUPERVISOR,
                    agent_id=name if name in agents else None,
                    of_centre=name not in agents and name not in BUILT_IN,
                    epoch=int(now.timestamp()),
                    hash=hashed,
                )
                for name, hashed in zip(new, hashes, strict=True)
            ]
            lines = [account.model_dump(mode="json") for account in (*kept, *made)]
            await asyncio.to_thread(write_private, path, json.dumps(lines, indent=1).encode())
            self._accounts = {account.username: account for account in (*kept, *made)}

    async def note_named(self, path: Path, named: Collection[str]) -> None:
        """Keep with accounts that were not made for it (a provider's) that the centre's file names them. To be called when these
        are the centre's, and not before: whoever is noted and not named has no queue."""
        async with self._turn:

            def noted(one: Account) -> Account:
                new = one.username in named and not (one.of_centre or one.once_named or one.username in BUILT_IN)
                return one.model_copy(update={"once_named": True}) if new else one

            if all(noted(one) is one for one in self._accounts.values()):
                return
            lines = [noted(one).model_dump(mode="json") for one in _parse(path, path.read_bytes())]
            await asyncio.to_thread(write_private, path, json.dumps(lines, indent=1).encode())
            self._accounts = {name: noted(one) for name, one in self._accounts.items()}

    def get(self, username: str) -> Account | None:
        """The account of that name, if there is one."""
        return self._accounts.get(username)

    def all(self) -> Sequence[Account]:
        """Every account, by name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    def of_subject(self, subject: str) -> Account | None:
        """The account that a provider's account is."""
        return next((one for one in self._accounts.values() if one.subject == subject), None)

    async def put(self, account: Account) -> None:
        """Keep an account, new or changed, in the file and here."""
        async with self._turn:
            if self._path is not None:
                others = [a for a in _parse(self._path, self._path.read_bytes()) if a.username != account.username]
                lines = [one.model_dump(mode="json") for one in (*others, account)]
                await asyncio.to_thread(write_private, self._path, json.dumps(lines, indent=1).encode())
            self._accounts[account.username] = account

    async def change_password(self, account: Account, password: str) -> Account:
        """Another password; sessions made by the former one are over."""
        (hashed,) = await self.hashes([password])
        changed = account.model_copy(update={"hash": hashed, "epoch": account.epoch + 1})
        await self.put(changed)
        return changed

    async def hashes(self, words: Sequence[str]) -> list[str]:
        """Argon2id hashes, made beside the loop."""
        return await asyncio.to_thread(lambda: [self._hasher.hash(word) for word in words])

    async def verify(self, username: str, password: str) -> Account | None:
        """The account, when the password is right. Takes the same work whether or not the user exists.

        Raises `TooBusy` when too many checks are waiting already.
        """
        account = self._accounts.get(username)
        right = await self.check_hash(account.hash if account is not None and account.hash else None, password)
        return account if right else None

    async def check_hash(self, hashed: str | None, word: str) -> bool:
        """Whether a hash is of that word; the same work, and False, when there is none. Raises `TooBusy`."""
        gate = self._gate
        if gate.waiting >= _MAY_WAIT:
            raise TooBusy
        gate.waiting += 1
        try:
            async with gate.checks:
                right = await asyncio.to_thread(self._check, hashed or self._nobody, word)
        finally:
            gate.waiting -= 1
        return right and hashed is not None

    def _check(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False
