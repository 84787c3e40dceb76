"""`cti config`: check, compare, apply and export the centre's configuration, running or not.

A running bridge is asked over its API, as its administrator (`bridge_api`). Where none runs, the files are all there is.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cti.bridge_api import BridgeApi, BridgeRefused
from cti.centre_check import examine_files
from cti.centre_file import parse_centre, read_text
from cti.centre_text import text_of_centre
from cti.centre_versions import FOLDER, CentreVersions, base_of, version_of, with_base
from cti.clock import SystemClock
from cti.errors import ConfigError
from cti.model.centre_changes import changes
from cti.places import Places
from cti.services.configuration import Applied, ConfigConflict, ConfigInvalid, ConfigProblem, ConfigText
from cti.settings import Settings


class Side(Protocol):
    """Where the configuration is: a running bridge, or files."""

    running: bool

    async def current(self) -> ConfigText | None:
        """What is configured; None when nothing is."""
        ...

    async def check(self, text: str, source: str) -> Sequence[ConfigProblem]:
        """What is wrong with a text."""
        ...

    async def diff(self, text: str, source: str) -> Sequence[str]:
        """What it would change. Raises `ConfigInvalid`."""
        ...

    async def apply(self, text: str, source: str, *, expected: str, by: str) -> Applied:
        """Take it up. Raises as `Configuration.apply` does."""
        ...


def exported(current: ConfigText, *, plain: bool) -> str:
    """The configuration as a file to edit and apply again: its first line says which version it was made from."""
    text = text_of_centre(parse_centre(current.text, source="centre.yaml")) if plain else current.text
    return with_base(text, current.version)


def who() -> str:
    """The user of this machine who asks."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name in the system's list
        return "somebody"


async def side_of(settings: Settings) -> Side:
    """The running bridge of this centre, or else its files."""
    bridge = RunningBridge(settings)
    return bridge if await bridge.there() else Files(settings)


@dataclass(slots=True)
class Files:
    """A centre whose bridge does not run."""

    settings: Settings
    running: bool = field(default=False, init=False)

    @property
    def _places(self) -> Places:
        return Places(self.settings)

    async def current(self) -> ConfigText | None:
        """The file that the next start reads."""
        path = self._places.centre
        if not path.exists():
            return None
        text = read_text(path)
        return ConfigText(text=text, version=version_of(text), since=SystemClock().now())

    async def check(self, text: str, source: str) -> Sequence[ConfigProblem]:
        """With the flows as they lie in their folder."""
        return examine_files(text, source=source, folder=self._places.flows)[1]

    async def diff(self, text: str, source: str) -> Sequence[str]:
        """Against that file."""
        await self._refuse(text, source)
        now = await self.current()
        if now is None:
            raise ConfigError("there is nothing to compare with: no centre file and no running centre", remedy="cti up")
        return changes(parse_centre(now.text, source=str(self._places.centre)), parse_centre(text, source=source))

    async def apply(self, text: str, source: str, *, expected: str, by: str) -> Applied:
        """Replace the file for the next start."""
        now = await self.current()
        if now is not None and expected and expected != now.version:
            raise ConfigConflict(
                f"{self._places.centre} is version {now.version}; this change was made from {expected}",
                remedy="cti config export, make the change there, and apply that",
            )
        await self._refuse(text, source)
        told = () if now is None else await self.diff(text, source)
        places, kept = self._places, base_of(text)[0]
        CentreVersions(places.centre, places.data / FOLDER).replace(kept, at=SystemClock().now(), keep=())
        return Applied(
            version=version_of(kept),
            changes=tuple(told),
            notes=("no bridge of this centre runs: it takes effect with the next start",),
        )

    async def _refuse(self, text: str, source: str) -> None:
        if problems := await self.check(text, source):
            raise ConfigInvalid(problems)


@dataclass(slots=True)
class RunningBridge:
    """A centre whose bridge runs, asked over its API."""

    settings: Settings
    running: bool = field(default=True, init=False)

    @property
    def _api(self) -> BridgeApi:
        return BridgeApi(self.settings)

    async def there(self) -> bool:
        """Whether a bridge of this very centre answers."""
        return await self._api.there()

    async def _ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        try:
            return await self._api.ask(method, path, body, headers)
        except BridgeRefused as error:
            if error.status == 412:
                raise ConfigConflict(error.message, remedy=error.remedy) from None
            if error.details:
                problems = [ConfigProblem(place=d["field"], message=d["message"]) for d in error.details]
                raise ConfigInvalid(problems) from None
            raise

    async def current(self) -> ConfigText | None:
        """What the bridge runs on."""
        said = await self._ask("GET", "/api/v1/config")
        since = SystemClock().now()
        return ConfigText(text=said["text"], version=said["version"], since=since, by=said["by"])

    async def check(self, text: str, source: str) -> Sequence[ConfigProblem]:
        """With the flows that run."""
        said = await self._ask("POST", "/api/v1/config/check", {"text": text})
        return [_named(ConfigProblem(**problem), source) for problem in said["problems"]]

    async def diff(self, text: str, source: str) -> Sequence[str]:
        """Against what the bridge runs on."""
        try:
            said = await self._ask("POST", "/api/v1/config/diff", {"text": text})
        except ConfigInvalid as error:
            raise ConfigInvalid([_named(p, source) for p in error.problems]) from None
        return list(said["changes"])

    async def apply(self, text: str, source: str, *, expected: str, by: str) -> Applied:
        """Now, no call touched."""
        if not expected:
            expected = (await self._ask("GET", "/api/v1/config"))["version"]
        try:
            said = await self._ask("PUT", "/api/v1/config", {"text": text, "by": by}, {"If-Match": f'"{expected}"'})
        except ConfigInvalid as error:
            raise ConfigInvalid([_named(p, source) for p in error.problems]) from None
        return Applied(
            version=said["version"],
            changes=tuple(said["changes"]),
            notes=tuple(said["notes"]),
            logins={login["username"]: login["password"] for login in said["logins"]},
        )


def _named(problem: ConfigProblem, source: str) -> ConfigProblem:
    """The API calls every text centre.yaml; here it has a name. A line it was read without counts."""
    place = re.sub(r"^centre\.yaml(?=:|$)", lambda _match: source, problem.place)
    return ConfigProblem(place=place, message=problem.message)


def read_candidate(path: Path) -> tuple[str, str]:
    """The text of a file to check, compare or apply, and the version it says it was made from. Lines stay where they are."""
    text = read_text(path)
    return text, base_of(text)[1]
