"""Settings: one TOML file plus environment, checked before anything starts. Every port and folder is one.

Order of precedence, later wins: defaults, the TOML file, environment `CTI_<SECTION>__<KEY>` (for example
`CTI_PORTS__WEB=8090`, `CTI_NODE=a2`; an empty variable counts as not set), command-line flags. `ports.offset` shifts all
ports together, so a second centre on one machine needs one line.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from cti.errors import ConfigError
from cti.sip_settings import Network, Sip, Trunk

Port = Annotated[int, Field(ge=1, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True
    )  # the default folder is made absolute too


class Ports(_Section):
    """Ports before `offset` is added. RTP uses `rtp_first`..`rtp_last` (even number of them)."""

    offset: int = Field(default=0, ge=0, le=40000)
    web: Port = 8080
    sip: Port = 5060
    ws: Port = 8088
    ami: Port = 5038
    agi: Port = 4573
    shop: Port = 8099
    """The demo's shop, which the order-status line asks."""
    sip_tls: Port = 5061
    """SIP over TLS, where `sip.tls` has it."""
    redirect: Port = 8078
    """Where plain HTTP is sent on to `web` while that speaks TLS."""
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

    @field_validator("root", "binary", "ledger")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


class Folders(_Section):
    """Where a centre keeps things; each None is a folder of that name under `data`."""

    recordings: Path | None = None
    voicemail: Path | None = None
    journal: Path | None = None
    log: Path | None = None
    postgres: Path | None = None

    @field_validator("recordings", "voicemail", "journal", "log", "postgres")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()


class Database(_Section):
    """`url` is a postgresql:// address; empty means an embedded PostgreSQL under the data folder."""

    url: str = ""
    customer_seconds: float = Field(default=0.4, ge=0.05, le=10)
    """How long a caller waits for the customer file; then the call goes on without it."""

    @property
    def customer_within(self) -> timedelta:
        """The same."""
        return timedelta(seconds=self.customer_seconds)


class Contact(_Section):
    """The page on which customers ask to be called back."""

    queues: tuple[str, ...] = ()
    """Queues they may choose; empty: the one of the centre's first number."""


class Mail(_Section):
    """The mail server that scheduled reports go out by. Without a host nothing is sent."""

    host: str = Field(default="", pattern=r"^[A-Za-z0-9.:-]*$")
    port: Port = 587
    security: str = Field(default="starttls", pattern=r"^(starttls|tls|none)$")
    """starttls, tls from the first byte, or none."""
    username: str = ""
    """Empty: no log-in."""
    password_file: Path | None = None
    """A file with the password alone, readable by its owner only."""
    ca_file: Path | None = None
    """Certificates to trust besides the system's, for a mail server of one's own."""
    sender: str = Field(default="", pattern=r"^$|^[^@\s<>,;]+@[^@\s<>,;]+$")
    """From whom mails are."""
    domains: tuple[str, ...] = ()
    """Reports go to addresses of these domains only; empty: to any."""

    @field_validator("password_file", "ca_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _whole(self) -> Mail:
        if self.host and not self.sender:
            raise ValueError("mail.sender is needed where mail.host is set")
        if self.username and self.security == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("a password goes to another machine only with mail.security starttls or tls")
        return self


class Tls(_Section):
    """Encryption of the pages and the API. See docs/operations.md."""

    mode: str = Field(default="auto", pattern=r"^(auto|on|off)$")
    """auto: plain HTTP while only this machine itself can reach the pages, TLS as soon as others can."""
    certificate: Path | None = None
    """Certificate chain (PEM); None: one made here at the first start, and made anew before it ends."""
    key: Path | None = None
    """Its private key (PEM), readable by its owner only."""
    names: tuple[str, ...] = ()
    """Further host names and addresses that the certificate made here is for."""

    @field_validator("certificate", "key")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _both(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("tls.certificate and tls.key go together")
        return self


class Access(_Section):
    """Logging in: how long it lasts, and who needs a second factor."""

    session_hours: int = Field(default=12, ge=1, le=168)
    """A log-in ends after so long, whatever its owner does."""
    idle_minutes: int = Field(default=60, ge=1, le=10080)
    """And after so long without a request or an open page."""
    second_factor: tuple[str, ...] = ()
    """Roles that need a second factor besides their password."""
    token_days: int = Field(default=365, ge=1, le=3650)
    """The longest that a token for programs may live."""


class Oidc(_Section):
    """Logging in by an OpenID Connect provider. Without an issuer there is none. See docs/operations.md."""

    issuer: str = Field(default="", pattern=r"^$|^https?://[A-Za-z0-9.:\[\]/_~%-]+$")
    """The provider's issuer address, exactly as it writes it."""
    client_id: str = ""
    client_secret_file: Path | None = None
    """A file with the client's secret alone; None: a public client, by PKCE only."""
    label: str = "Single sign-on"
    """What the button on the log-in page says."""
    scopes: tuple[str, ...] = ("openid", "profile")
    username_claim: str = "preferred_username"
    role_claim: str = "groups"
    """The claim that says what somebody may be here: a text, or a list of texts; dots lead into objects."""
    roles: dict[str, str] = {}
    """Value of that claim -> agent, supervisor or admin. Who has none of them is not let in."""
    agent_claim: str = ""
    """The claim with an agent's extension; empty: the one of the user name."""
    ca_file: Path | None = None
    """Certificates to trust besides the system's, for a provider of one's own."""

    @field_validator("client_secret_file", "ca_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _whole(self) -> Oidc:
        if self.issuer and not self.client_id:
            raise ValueError("oidc.client_id is needed where oidc.issuer is set")
        if self.issuer.startswith("http://") and not re.match(
            r"^http://(localhost|127\.0\.0\.1|\[::1\])[:/]", self.issuer + "/"
        ):
            raise ValueError("oidc.issuer must be an https:// address")
        return self


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
    hung_seconds: float = Field(default=3.0, ge=0, le=60)
    """A bridge whose event loop stands still for so long is killed, so that its callers go on; 0: never."""


class Logs(_Section):
    """Files that grow: logs, and Asterisk's ledger of events."""

    megabytes: int = Field(default=50, ge=1, le=10_000)
    """A file that has become so long is begun anew."""
    kept: int = Field(default=5, ge=1, le=1000)
    """How many older ones are kept of each."""


class Retention(_Section):
    """How many days data about customers are kept, by kind; 0 keeps them for ever. Looked after once a day."""

    customer_days: int = Field(default=0, ge=0, le=36500)
    """Customers without any contact, note or change for so long are forgotten."""
    note_days: int = Field(default=0, ge=0, le=36500)
    """Notes about customers."""
    history_days: int = Field(default=0, ge=0, le=36500)
    """Who changed what of a customer."""
    import_days: int = Field(default=30, ge=0, le=36500)
    """Lists of imports, with the rows that were not taken."""
    recording_days: int = Field(default=0, ge=0, le=36500)
    """Recordings of talks, but for queues with a word of their own (`recordings.queue_days`)."""
    message_days: int = Field(default=0, ge=0, le=36500)
    """Voicemails, and what callers said to flows."""


class RecordingSettings(_Section):
    """Recordings: how long a pause may last, who may hear them, where they lie. See docs/recordings.md."""

    pause_seconds: int = Field(default=180, ge=0, le=7200)
    """After so long a pause ends by itself; 0: only by hand, or with the call."""
    agents_listen: bool = False
    """Whether agents may hear their own calls."""
    seal: bool = False
    """Whether files are encrypted where they lie (AES-256-GCM)."""
    key_days: int = Field(default=0, ge=0, le=3650)
    """A new key after so many days, at a start; older ones are kept for what they sealed. 0: the first one for ever."""
    queue_days: dict[str, int] = {}
    """Queue -> how many days its talks are kept; 0 keeps them for ever."""
    s3_bucket: str = Field(default="", pattern=r"^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """Bucket that finished recordings are moved to; empty: they stay in their folders."""
    s3_endpoint: str = Field(default="", pattern=r"^$|^https?://[A-Za-z0-9.:\[\]/_-]+$")
    """Address of an S3-compatible store; empty is Amazon's."""
    s3_region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]{1,40}$")
    s3_key_id: str = Field(default="", max_length=200)
    """Access key; empty: what the machine's own role gives."""
    s3_secret_file: Path | None = None
    """File with the secret of the access key, on one line."""
    s3_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9/_-]*$")
    """What names in the bucket begin with."""
    s3_path_style: bool = True
    """Whether the bucket is in the path (most stores), not in the host name."""

    @field_validator("s3_secret_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("queue_days")
    @classmethod
    def _days(cls, value: dict[str, int]) -> dict[str, int]:
        if any(not 0 <= days <= 36500 for days in value.values()):
            raise ValueError("days are 0 to 36500")
        return value


class Standby(_Section):
    """A second bridge that takes over when the first one goes."""

    enabled: bool = False
    """Whether bridges of this centre share the floor by a lease; `cti up --standby` sets it."""
    hold_seconds: float = Field(default=2.0, ge=2.0, le=60.0)
    """How long a lease lasts that is not renewed; an owner that is alive and silent twice as long is killed."""
    hung_seconds: float = Field(default=1.5, ge=0, le=60)
    """As `survival.hung_seconds`, where another bridge is there at once; 0: as that."""


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
    sip: Sip = Sip()
    asterisk: AsteriskSettings = AsteriskSettings()
    database: Database = Database()
    logs: Logs = Logs()
    folders: Folders = Folders()
    retention: Retention = Retention()
    recordings: RecordingSettings = RecordingSettings()
    survival: Survival = Survival()
    standby: Standby = Standby()
    contact: Contact = Contact()
    mail: Mail = Mail()
    tls: Tls = Tls()
    access: Access = Access()
    oidc: Oidc = Oidc()

    @field_validator("data", "centre", "flows", "prompts")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @property
    def asterisk_root(self) -> Path:
        """Folder of the unpacked Asterisk."""
        if self.asterisk.root is not None:
            return self.asterisk.root
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(cache) / "cti-server" / "asterisk-22"

    def folder(self, name: str) -> Path:
        """The folder of this name: the setting `folders.<name>`, else the one under `data`."""
        chosen = getattr(self.folders, name)
        return chosen if isinstance(chosen, Path) else self.data / name

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
        except OSError as error:
            raise ConfigError(
                f"{file}: {error.strerror}", remedy="give a file that can be read with --config"
            ) from None
    for name, value in sorted(environ.items()):
        path = name.removeprefix("CTI_").lower().split("__")
        if not _is_setting(name) or not value:
            continue
        _put(tree, path, _list(value), f"environment variable {name}")
        source[".".join(path)] = f"environment variable {name}"
    for dotted, value in (overrides or {}).items():
        _put(tree, dotted.split("."), value, "command line")
        source[dotted] = "command line"
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        problems = error.errors()
        lines = [
            f"{_told_by(problem['loc'], source) or file or 'settings'}: "
            f"{'.'.join(map(str, problem['loc']))}: {plain_words(problem)}"
            for problem in problems
        ]
        unknown = any(problem["type"] == "extra_forbidden" for problem in problems)
        remedy = "docs/settings.md lists every key" if unknown else "correct the value and start again"
        raise ConfigError("\n".join(lines), remedy=remedy) from None


def plain_words(problem: ErrorDetails) -> str:
    """What is wrong with a value, without the validator's own jargon."""
    words = {
        "extra_forbidden": "there is no such key",
        "missing": "this key is missing",
        "tuple_type": 'a list is needed; in the environment it is written as JSON, as in ["127.0.0.2"]',
        "model_type": "this is a section of keys, not a value",
    }
    return words.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")


def meaningless(environ: Mapping[str, str]) -> list[str]:
    """Environment variables that look like settings and are none: most often a slip of the pen."""
    return sorted(
        name for name in environ if name.startswith("CTI_") and name != "CTI_CONFIG" and not _is_setting(name)
    )


def _is_setting(name: str) -> bool:
    """Whether an environment variable is meant for us. One with two underscores is, even with a section we do not have."""
    if not name.startswith("CTI_") or name == "CTI_CONFIG":
        return False
    return "__" in name or name.removeprefix("CTI_").lower() in Settings.model_fields


def _put(tree: dict[str, Any], path: Sequence[str], value: object, where: str) -> None:
    place = tree
    for depth, key in enumerate(path[:-1], 1):
        place = place.setdefault(key, {})
        if not isinstance(place, dict):
            raise ConfigError(
                f"{where}: {'.'.join(path[:depth])} was given as one value, and it is a section of keys",
                remedy="docs/settings.md lists every key",
            )
    place[path[-1]] = value


def _told_by(loc: Sequence[int | str], source: Mapping[str, str]) -> str:
    """Which variable or flag gave the value at `loc`; of a whole section, those that gave a part of it."""
    for length in range(len(loc), 0, -1):
        found = source.get(".".join(map(str, loc[:length])))
        if found is not None:
            return found
    below = ".".join(map(str, loc)) + "."
    return " and ".join(where for key, where in source.items() if key.startswith(below))


def _list(value: str) -> object:
    """A list in an environment variable is written as JSON; anything else stays text."""
    if value.startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
