"""Settings: one TOML file plus environment, checked before anything starts. Every port and folder is one.

Order of precedence, later wins: defaults, the TOML file, environment `CTI_<SECTION>__<KEY>` (for example
`CTI_PORTS__WEB=8090`, `CTI_NODE=a2`), command-line flags. `ports.offset` shifts all ports together, so a second
centre on one machine needs one line.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cti.errors import ConfigError

Port = Annotated[int, Field(ge=1, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(_Section):
    """Addresses. Everything listens on `bind`; `public_address` is what browsers and phones are told."""

    bind: str = "127.0.0.1"
    public_address: str = "127.0.0.1"


class Ports(_Section):
    """Ports before `offset` is added. RTP uses `rtp_first`..`rtp_last` (even number of them)."""

    offset: int = Field(default=0, ge=0, le=40000)
    web: Port = 8080
    sip: Port = 5060
    ws: Port = 8088
    ami: Port = 5038
    agi: Port = 4573
    rtp_first: Port = 10000
    rtp_last: Port = 10999

    @model_validator(mode="after")
    def _shift(self) -> Ports:
        if self.rtp_last - self.rtp_first < 19:
            raise ValueError("rtp_last must be at least rtp_first + 19")
        shifted = {name: getattr(self, name) + self.offset for name in type(self).model_fields if name != "offset"}
        over = [name for name, port in shifted.items() if port > 65535]
        if over:
            raise ValueError(f"offset {self.offset} pushes {', '.join(over)} past 65535")
        fixed = {name: port for name, port in shifted.items() if not name.startswith("rtp")}
        if len(set(fixed.values())) < len(fixed):
            raise ValueError("two services have the same port")
        return self

    def of(self, name: str) -> int:
        """The port really used: the setting plus the offset."""
        return int(getattr(self, name)) + self.offset


class Trunk(_Section):
    """The line to the carrier. `match` lists the carrier's addresses; a call from there is a caller."""

    name: str = Field(default="trunk", pattern=r"^[a-z][a-z0-9-]*$")
    match: tuple[str, ...] = ("127.0.0.2",)


class AsteriskSettings(_Section):
    """Where Asterisk comes from. `root` holds the unpacked Asterisk; shared by all centres of this machine."""

    root: Path | None = None
    binary: Path | None = None
    """An Asterisk of one's own, at least 22; None looks on PATH, then unpacks one into `root`."""
    ledger: Path | None = None
    """Asterisk's event ledger (CEL as CSV); None is where `cti up` writes it. See docs/own-asterisk.md."""
    ami_host: str = "127.0.0.1"
    ami_user: str = "cti"
    agi_host: str = "127.0.0.1"


class Database(_Section):
    """`url` is a postgresql:// address; empty means an embedded PostgreSQL under the data folder."""

    url: str = ""


class Survival(_Section):
    """What the dialplan does when no bridge answers."""

    retry_seconds: int = Field(default=10, ge=0, le=120)
    """How long a new call keeps asking for the bridge before it goes to the native queue."""
    wait_misses: int = Field(default=4, ge=1, le=100)
    """Missed visits after which a waiting caller goes to the native queue."""
    wait_visit_seconds: int = Field(default=10, ge=2, le=120)
    """How often a waiting caller visits the bridge."""
    queue_seconds: int = Field(default=300, ge=5, le=3600)
    """How long the native queue holds a caller before voicemail."""


class Settings(_Section):
    """All settings of one centre."""

    data: Path = Path(".data")
    node: str = Field(default="a1", pattern=r"^[a-z][a-z0-9]{0,15}$")
    centre: Path | None = None
    """centre.yaml: numbers, queues, agents, tiers. None uses <data>/centre.yaml, made from the demo centre."""
    flows: Path | None = None
    """Folder of flow files; None uses the shipped `ivr_flows`."""
    prompts: Path | None = None
    """Folder of built sounds; None is <data>/prompts. Several centres of one machine may share one."""
    log_level: str = Field(default="info", pattern=r"^(debug|info|warning|error)$")
    network: Network = Network()
    ports: Ports = Ports()
    trunk: Trunk = Trunk()
    asterisk: AsteriskSettings = AsteriskSettings()
    database: Database = Database()
    survival: Survival = Survival()

    @field_validator("data", "centre", "flows", "prompts")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @property
    def asterisk_root(self) -> Path:
        """Folder of the unpacked Asterisk."""
        if self.asterisk.root is not None:
            return self.asterisk.root.expanduser().absolute()
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(cache) / "cti-server" / "asterisk-22"

    @property
    def run(self) -> Path:
        """Folder of what belongs to one run: sockets, process ids, rendered configuration."""
        return self.data / "run"


def load_settings(
    file: Path | None = None, *, environ: Mapping[str, str] = os.environ, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read settings from `file` (if given), `environ` and `overrides`.

    Raises `ConfigError` naming the file (or variable), the key and what to do.
    """
    tree: dict[str, Any] = {}
    source: dict[str, str] = {}
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(f"{file}: no such file", remedy="check the path given with --config") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file}: not valid TOML: {error}", remedy="mend the line named above") from None
    for name, value in sorted(environ.items()):
        if not name.startswith("CTI_") or name == "CTI_CONFIG":
            continue
        path = name[len("CTI_") :].lower().split("__")
        if path[0] not in Settings.model_fields:
            continue
        place = tree
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = _list(value)
        source[".".join(path)] = f"environment variable {name}"
    for dotted, value in (overrides or {}).items():
        *parents, last = dotted.split(".")
        place = tree
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value
        source[dotted] = "command line"
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"])
            where = source.get(key) or (str(file) if file else "settings")
            lines.append(f"{where}: {key}: {problem['msg']}")
        unknown = any(problem["type"] == "extra_forbidden" for problem in error.errors())
        remedy = "docs/settings.md lists every key" if unknown else "correct the value and start again"
        raise ConfigError("\n".join(lines), remedy=remedy) from None


def _list(value: str) -> object:
    """A list in an environment variable is written as JSON; anything else stays text."""
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
