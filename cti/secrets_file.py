"""Secrets: generated once, kept in one file that only its owner can read, never logged."""

from __future__ import annotations

import json
import secrets
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cti.errors import ConfigError
from cti.model.centre import Centre
from cti.private_file import write_private

WORDS = 12
"""Length of a generated log-in password: letters and digits without look-alikes, 31^12 (59 bits)."""
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """All secrets of one centre. Nothing here is ever printed by its representation."""

    ami: str = field(repr=False)
    session_key: str = field(repr=False)
    sip: dict[str, str] = field(repr=False)
    """Endpoint name -> password: `1001`, `1001-web`, `webcall`."""
    logins: dict[str, str] = field(repr=False)
    """Log-in name -> password, as generated at first run. A changed password is only known as a hash elsewhere."""


def secrets_path(data: Path) -> Path:
    """Where the secrets of a centre lie."""
    return data / "secrets" / "secrets.json"


def endpoints(centre: Centre) -> Iterable[str]:
    """Names of the SIP accounts of a centre, without the trunk."""
    for extension in centre.agents:
        yield extension
        yield f"{extension}-web"
    yield "webcall"
    for user in supervisors(centre):
        yield user
        yield f"{user}-web"


def supervisors(centre: Centre) -> Iterable[str]:
    """User names of those who supervise and administer: each has a telephone in the page, and one of another make."""
    return dict.fromkeys(("supervisor", "admin", *centre.supervisors))


def load_or_make(data: Path, centre: Centre, *, known: Secrets | None = None) -> Secrets:
    """Read the secrets, generating those that are missing (first run, new agents); those of nobody are dropped.

    `known` counts before the file: another program may have read the centre's file a moment before it changed, and
    dropped what it took for nobody's. Raises `ConfigError` when the file is damaged or others can read it.
    """
    path = secrets_path(data)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    tree = read_secrets(path)
    sip = _strings(tree.get("sip")) | (known.sip if known is not None else {})
    logins = _strings(tree.get("logins")) | (known.logins if known is not None else {})
    made = Secrets(
        ami=str(tree.get("ami") or secrets.token_urlsafe(24)),
        session_key=str(tree.get("session_key") or secrets.token_urlsafe(32)),
        sip={name: sip.get(name) or secrets.token_urlsafe(18) for name in endpoints(centre)},
        logins={
            name: logins.get(name) or _password() for name in (*centre.agents, *supervisors(centre), *centre.walls)
        },
    )
    fresh = {"ami": made.ami, "session_key": made.session_key, "sip": made.sip, "logins": made.logins}
    if fresh != tree:
        write_private(path, (json.dumps(fresh, indent=2, ensure_ascii=False) + "\n").encode())
    return made


def read_secrets(path: Path) -> dict[str, object]:
    """The file as it is; empty when there is none. Raises `ConfigError` when it is damaged or others can read it."""
    remedy = "restore it from a backup, or move it away to generate new secrets"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path}: others can read it (mode {mode:04o})", remedy=f"chmod 600 {path}")
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="it must belong to the user the centre runs as") from None
    except ValueError:
        raise ConfigError(f"{path}: not valid JSON", remedy=remedy) from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: not the secrets of a centre", remedy=remedy)
    return tree


def _password() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(WORDS))


def _strings(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
