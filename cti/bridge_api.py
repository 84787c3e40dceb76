"""The API of a running bridge, for commands on the same machine.

Whoever can read the centre's secrets signs a session of a few minutes as the administrator with the key that lies there, so a
changed password does not matter.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from cti.certificates import client_context, encrypted
from cti.clock import SystemClock
from cti.errors import CtiError
from cti.places import Places
from cti.secrets_file import read_secrets, secrets_path
from cti.settings import Settings
from cti.web.auth.accounts import Accounts
from cti.web.auth.sessions import LOCAL, Sessions

ADMIN = "admin"
ASK_SECONDS = 60.0
"""An apply writes files, makes log-ins and reloads Asterisk; a large centre takes seconds."""


class BridgeRefused(CtiError):
    """The bridge said no. `details` are rows of `field` and `message`."""

    error_id = "bridge_refused"

    def __init__(
        self, message: str, *, remedy: str, status: int, told_id: str, details: Sequence[Mapping[str, str]]
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.told_id = told_id
        """The error's name on the wire."""
        self.details = tuple(details)


class BridgeApi:
    """The API of the bridge of one centre."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def _url(self, path: str) -> str:
        host = self._settings.network.bind
        host = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound
        in_url = f"[{host}]" if ":" in host else host
        scheme = "https" if encrypted(self._settings) else "http"
        return f"{scheme}://{in_url}:{self._settings.ports.of('web')}{path}"

    async def there(self) -> bool:
        """Whether a bridge of this very centre answers."""
        if not secrets_path(self._settings.data).exists() or not Places(self._settings).accounts.exists():
            return False
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
                http.get(self._url("/api/v1/config"), headers=self._session(), ssl=self._trust()) as answer,
            ):
                if answer.status in (401, 403):
                    raise CtiError(
                        f"a bridge answers at {self._url('')}, and does not know the administrator of this centre",
                        remedy="it is another centre's: give the right --data, --config or CTI_PORTS__OFFSET",
                    )
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _trust(self) -> ssl.SSLContext | bool:
        return client_context(self._settings) or True

    def _session(self) -> dict[str, str]:
        places = Places(self._settings)
        key = str(read_secrets(secrets_path(self._settings.data)).get("session_key", ""))
        accounts = Accounts.load(places.accounts)
        admin = accounts.get(ADMIN)
        if admin is None:
            raise CtiError(f"there is no account {ADMIN} in {places.accounts}", remedy="commands work as that account")
        sessions = Sessions(accounts, key=key, revoked_file=places.revoked, clock=SystemClock())
        return {"Authorization": f"Bearer {sessions.create(admin, method=LOCAL)[0]}"}

    async def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The JSON it answers. Raises `BridgeRefused`, and `CtiError` when it does not answer."""
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.request(
                    method,
                    self._url(path),
                    json=body,
                    headers={**self._session(), **(headers or {})},
                    ssl=self._trust(),
                ) as answer,
            ):
                said = json.loads(await answer.text() or "null")
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CtiError(
                f"the bridge did not answer: {type(error).__name__}", remedy="look what it runs on now, then repeat it"
            ) from None
        if status < 300:
            return said
        told = said.get("error", {}) if isinstance(said, dict) else {}
        raise BridgeRefused(
            str(told.get("message", f"HTTP {status}")),
            remedy=str(told.get("remedy", "")),
            status=status,
            told_id=str(told.get("id", "")),
            details=told.get("details") or (),
        )
