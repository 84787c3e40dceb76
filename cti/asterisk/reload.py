"""A changed centre taken to the Asterisk that runs: the files that are the centre's rendered again, what changed reloaded.

Asterisk reloads without touching calls: a channel keeps its endpoint and goes on in the dialplan by names, which stay.
The action `Reload` needs write class `system`, which the bridge's account has to list contacts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from cti.asterisk.install import find_asterisk
from cti.asterisk.render import AsteriskSecrets, render
from cti.errors import RemoteError
from cti.model.centre import Centre
from cti.settings import Settings

log = structlog.get_logger(__name__)

MODULES = {
    "cti/pjsip.conf": "res_pjsip.so",
    "cti/supervisors.conf": "res_pjsip.so",
    "cti/queues.conf": "app_queue.so",
    "cti/musiconhold.conf": "res_musiconhold.so",
    "confbridge.conf": "app_confbridge.so",
    "cti/rooms.conf": "pbx_config.so",
    "cti/supervision.conf": "pbx_config.so",
    "cti/dialling.conf": "pbx_config.so",
    "cti/prompts.conf": "pbx_config.so",
    "cti/webcall.conf": "pbx_config.so",
    "cti/extensions.conf": "pbx_config.so",
}
"""File -> the module that reads it, in the order of reloading: accounts and queues before the numbers that lead to them."""
KNOWN_WITHIN = 5.0
"""Seconds within which Asterisk, which reloads accounts in the background, knows the new ones."""


class Reloadable(Protocol):
    """An Asterisk that can be told to read its files again. `AmiTelephony` is one."""

    async def reload(self, module: str) -> None:
        """Have it read a module's configuration again. Raises `RemoteError`."""
        ...

    async def has_endpoint(self, name: str) -> bool:
        """Whether it knows a SIP account. Raises `RemoteError`."""
        ...


class AsteriskFollower:
    """Keeps one Asterisk on the centre's configuration."""

    def __init__(
        self, settings: Settings, *, prompts: Path, out: Path, asterisk: Reloadable, accounts: Collection[str]
    ) -> None:
        self._settings = settings
        self._prompts = prompts
        self._out = out
        self._asterisk = asterisk
        self._stale: dict[str, None] = {}
        """Files that were written and not reloaded yet."""
        self._accounts = frozenset(accounts)
        """SIP accounts that Asterisk knows."""

    async def follow(self, centre: Centre, secrets: AsteriskSecrets, *, standing: bool = False) -> Sequence[str]:
        """Make it so. Gives what is left for a person to do. Raises `RemoteError`, `ConfigError` or `OSError`.

        `standing`: the Asterisk that runs was started without our secrets of telephones in pages; theirs stand in the file.
        """
        if not (self._out / "asterisk.conf").exists():
            return [
                "Asterisk's configuration is not this centre's to write: run cti asterisk render --out FOLDER, copy "
                "FOLDER/cti as before, and reload res_pjsip.so, app_queue.so and the dialplan"
            ]
        self._stale.update(dict.fromkeys(await asyncio.to_thread(self._render, centre, secrets, standing)))
        for module in dict.fromkeys(MODULES.values()):
            files = [name for name in self._stale if MODULES.get(name) == module]
            if not files:
                continue
            await self._asterisk.reload(module)
            if "cti/pjsip.conf" in files:
                accounts = frozenset(secrets.sip)
                await self._wait_for(accounts - self._accounts)
                self._accounts = accounts
            for file in files:
                del self._stale[file]
            log.info("asterisk_reloaded", module=module)
        rest, self._stale = list(self._stale), {}
        notes = [f"{name} changed: Asterisk takes it when it is started again" for name in rest]
        if standing:
            notes.append("telephones in pages have standing passwords until Asterisk is started again: in a quiet hour")
        return notes

    def _render(self, centre: Centre, secrets: AsteriskSecrets, standing: bool) -> Sequence[str]:
        settings = self._settings
        if standing:
            sip = settings.sip.model_copy(update={"browser_secrets": "standing"})
            settings = settings.model_copy(update={"sip": sip})
        binary, why = find_asterisk(self._settings)
        if binary is None:
            raise RemoteError(f"there is no Asterisk to configure{': ' if why else ''}{why}")
        return render(settings, centre, secrets, binary, self._prompts, self._out).changed

    async def _wait_for(self, accounts: Collection[str]) -> None:
        """Until a phone can register with the new accounts: one that is told "unknown" may not try again for minutes.

        They come all at once, so one is asked for.
        """
        for account in sorted(accounts)[:1]:
            try:
                async with asyncio.timeout(KNOWN_WITHIN):
                    while not await self._asterisk.has_endpoint(account):  # noqa: ASYNC110 - no event says so
                        await asyncio.sleep(0.05)
            except TimeoutError:
                raise RemoteError(f"it does not know the account {account} after {KNOWN_WITHIN:.0f} s") from None
