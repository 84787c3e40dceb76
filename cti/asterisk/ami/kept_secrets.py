"""Secrets of telephones in pages, in Asterisk's own database. Satisfies `cti.services.phone_secrets.SecretStore`.

Asterisk looks for a SIP account's secret in its configuration files and then in its database (`sorcery.conf`), anew for every
request: what is put there counts at once, and nothing is reloaded. The JSON is the object as Asterisk itself would write
it; a field whose name begins with @ is somebody else's, and kept. `DBPut`, `DBGetTree` and `DBDel` need write class
`system`, which the bridge's account has for `Reload`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from cti.asterisk.ami.errors import AmiActionInvalid, AmiRefused
from cti.asterisk.ami.wire import AmiMessage
from cti.services.phone_secrets import CLOSED, Kept

FAMILY = "cti"
"""Of all that we keep there; the word is in `sorcery.conf` too."""
AUTH, TICKETS = f"{FAMILY}/auth", f"{FAMILY}/webcall"
MARK = "@cti"

_PLACE = re.compile(r"[A-Za-z0-9_.@-]{1,80}")
_MARK = re.compile(r"[A-Za-z0-9_.@:+ -]{0,400}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,100}")


class AsteriskLink(Protocol):
    """What is needed of the link. `AmiTelephony` is one."""

    def connected(self) -> bool:
        """Whether there is a link, and its picture was taken."""
        ...

    async def keep(self, fields: Mapping[str, str]) -> None:
        """Have Asterisk keep something, as the owner of the floor. Raises `RemoteError`."""
        ...

    async def listed(self, fields: Mapping[str, str]) -> Sequence[AmiMessage]:
        """A list. Raises `RemoteError`."""
        ...


class KeptSecrets:
    """The database of one Asterisk, over the bridge's link."""

    def __init__(self, link: AsteriskLink) -> None:
        self._link = link

    def connected(self) -> bool:
        """See `SecretStore.connected`."""
        return self._link.connected()

    async def read(self) -> Kept:
        """See `SecretStore.read`."""
        marks: dict[str, str] = {}
        tickets: dict[str, int] = {}
        for entry in await self._link.listed({"Action": "DBGetTree", "Family": FAMILY}):
            family, _, name = entry.get("Key").removeprefix("/").rpartition("/")
            value = entry.get("Val")
            if family == AUTH:
                marks[name] = _mark(value)
            elif family == TICKETS:
                tickets[name] = int(value) if value.isascii() and value.isdecimal() else 0
        return Kept(marks=marks, tickets=tickets)

    async def put(self, place: str, *, account: str, secret: str, mark: str) -> None:
        """See `SecretStore.put`."""
        if not (_PLACE.fullmatch(account) and _MARK.fullmatch(mark) and _SECRET.fullmatch(secret)):
            raise AmiActionInvalid(f"the secret of {account!r} cannot be said in AMI")
        fields = {"auth_type": "userpass", "username": account, "password": secret}
        await self._put(AUTH, place, json.dumps(fields | ({MARK: mark} if mark != CLOSED else {})))

    async def ticket(self, line: str, until: int) -> None:
        """See `SecretStore.ticket`."""
        await self._put(TICKETS, line, str(until))

    async def _put(self, family: str, key: str, value: str) -> None:
        if _PLACE.fullmatch(key) is None:
            raise AmiActionInvalid(f"{key!r} is no name for Asterisk's database")
        await self._link.keep({"Action": "DBPut", "Family": family, "Key": key, "Val": value})

    async def forget(self, place: str) -> None:
        """See `SecretStore.forget`."""
        try:
            await self._link.keep({"Action": "DBDel", "Family": AUTH, "Key": place})
        except AmiRefused:
            return  # there is none

    async def believes(self, account: str, place: str) -> bool:
        """See `SecretStore.believes`."""
        try:
            parts = await self._link.listed({"Action": "PJSIPShowEndpoint", "Endpoint": account})
        except AmiRefused:
            return False
        return any(part.event == "AuthDetail" and part.get("ObjectName") == place for part in parts)


def _mark(value: str) -> str:
    """The mark of a kept secret; what cannot be read is taken for somebody's, so that it is closed."""
    try:
        found = json.loads(value)
        return str(found.get(MARK, CLOSED))
    except (ValueError, AttributeError):
        return "unreadable"
