"""The configuration of the running centre: checks a new text, and takes it to everybody who lives by it.

Theory of operation. One apply at a time. First everything that can be refused is: another version than expected, a text
with problems, a flow that would break. Then, in this order, so that a crash in between leaves something a start can work
with: secrets and log-ins of who is new; the file, with what it replaces kept; the floor, in one turn of its owner; the
parts of Asterisk's configuration that changed, reloaded. What cannot be taken to Asterisk now is told in the notes and
tried again: calls go on meanwhile as before.

What retires (see `services.live_centre`) keeps its accounts, log-ins and queues in Asterisk until it is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.translate import accounts_of
from cti.centre_check import examine
from cti.centre_versions import CentreVersions, base_of, version_of
from cti.clock import Clock
from cti.errors import CtiError
from cti.model.centre import Centre
from cti.secrets_file import Secrets, load_or_make
from cti.services import live_centre
from cti.services.configuration import Applied, ConfigConflict, ConfigInvalid, ConfigProblem, ConfigText
from cti.services.dispatcher import Dispatcher
from cti.services.flow_library import FlowLibrary
from cti.settings import Settings
from cti.web.auth.accounts import Accounts

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 5.0
"""From a try to take the centre to Asterisk that failed to the next."""
SOURCE = "centre.yaml"
"""What the places of problems call a text that came over the API."""

Follow = Callable[[Centre, Secrets], Awaitable[Sequence[str]]]
"""Takes a centre to Asterisk; gives what a person should know."""


class LiveConfiguration:
    """Satisfies `services.configuration.Configuration` for one running bridge."""

    def __init__(
        self,
        settings: Settings,
        *,
        text: str,
        versions: CentreVersions,
        dispatcher: Dispatcher,
        flows: FlowLibrary,
        accounts: Accounts,
        accounts_file: Path,
        secrets: Secrets,
        telephony: AmiTelephony,
        follow: Follow,
        clock: Clock,
        on_region: Callable[[str], None] = lambda _region: None,
    ) -> None:
        self._settings = settings
        self._versions = versions
        self._dispatcher = dispatcher
        self._flows = flows
        self._accounts = accounts
        self._accounts_file = accounts_file
        self._secrets = secrets
        self._telephony = telephony
        self._follow = follow
        self._clock = clock
        self._on_region = on_region
        self._current = ConfigText(text=text, version=version_of(text), since=clock.now())
        self._turn = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()
        dispatcher.on_retired = self._on_retired

    def current(self) -> ConfigText:
        """What the centre runs on."""
        return self._current

    async def check(self, text: str) -> Sequence[ConfigProblem]:
        """See `Configuration.check`."""
        return (await self._examine(text))[1]

    async def diff(self, text: str) -> Sequence[str]:
        """See `Configuration.diff`."""
        return live_centre.changes_to(self._dispatcher.board, await self._right(text))

    async def apply(self, text: str, *, expected: str, by: str) -> Applied:
        """See `Configuration.apply`."""
        async with self._turn:
            current = self._current
            if expected != current.version:
                who = f" by {current.by}" if current.by else ""
                raise ConfigConflict(
                    f"the configuration is version {current.version} since {current.since:%Y-%m-%d %H:%M:%S} UTC{who}; "
                    f"this change was made from {expected}",
                    remedy="export it again (cti config export, or GET /api/v1/config), make the change there, apply that",
                    version=current.version,
                )
            centre = await self._right(text)
            return await self._take_up(centre, base_of(text)[0], by=by)

    async def _take_up(self, centre: Centre, text: str, *, by: str) -> Applied:
        board = self._dispatcher.board
        known = set(self._secrets.logins)
        everybody = replace(centre, agents={**board.centre.agents, **centre.agents})
        secrets = await self._make_secrets(everybody, self._secrets)
        fresh = {name: password for name, password in secrets.logins.items() if name not in known}
        await self._accounts.follow(
            self._accounts_file,
            secrets.logins,
            everybody.agents,
            self._clock.now(),
            named={**board.centre.supervisors, **centre.supervisors},
            walls={**board.centre.walls, **centre.walls}.keys() - centre.supervisors.keys(),
        )
        on_disk = await asyncio.to_thread(self._versions.read)
        now = self._clock.now()
        kept = await asyncio.to_thread(partial(self._versions.replace, text, at=now, keep=[self._current.text]))
        version = version_of(text)
        self._flows.use(centre)
        self._on_region(centre.region)
        changes = await self._dispatcher.configure(centre, version=version, by=by)
        former, self._current = self._current, ConfigText(text=text, version=version, since=now, by=by)
        notes = await self._refresh(secrets)
        if on_disk is not None and on_disk not in (text, former.text):
            notes = (*notes, f"{self._versions.path} had been changed and not applied; that text is kept in {kept[-1]}")
        return Applied(version=version, changes=tuple(changes), notes=tuple(notes), logins=fresh)

    async def _make_secrets(self, centre: Centre, known: Secrets) -> Secrets:
        return await asyncio.to_thread(partial(load_or_make, self._settings.data, centre, known=known))

    async def _refresh(self, known: Secrets) -> Sequence[str]:
        """Secrets, log-ins, and Asterisk as the floor is now."""
        centre = self._dispatcher.board.centre
        made = await self._make_secrets(centre, known)
        # The pages read the passwords from this very value.
        for table, new in ((self._secrets.sip, made.sip), (self._secrets.logins, made.logins)):
            table.clear()
            table.update(new)
        await self._accounts.follow(
            self._accounts_file,
            made.logins,
            centre.agents,
            self._clock.now(),
            named=centre.supervisors,
            walls=centre.walls,
        )
        await self._accounts.note_named(self._accounts_file, {*centre.supervisors, *centre.walls})
        self._telephony.use_accounts(accounts_of(centre.agents))
        try:
            return await self._follow(centre, self._secrets)
        except (CtiError, OSError) as error:
            log.error("asterisk_not_reconfigured", error=str(error))
            self._later(self._again())
            return [f"Asterisk does not have it yet: {error}. It is tried again until it has"]

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _on_retired(self) -> None:
        self._later(self._catch_up())

    async def _again(self) -> None:
        await asyncio.sleep(AGAIN_SECONDS)
        await self._catch_up()

    async def _catch_up(self) -> None:
        async with self._turn:
            for note in await self._refresh(self._secrets):
                log.warning("asterisk_note", note=note)

    async def _examine(self, text: str) -> tuple[Centre | None, tuple[ConfigProblem, ...]]:
        # A centre of thousands of agents takes the reader a second: not on the floor's loop.
        return await asyncio.to_thread(examine, text, source=SOURCE, flows=self._flows)

    async def _right(self, text: str) -> Centre:
        centre, problems = await self._examine(text)
        if problems or centre is None:
            raise ConfigInvalid(problems)
        return centre
