"""Secrets of telephones in a page: what the web asks for, and where Asterisk's own memory of them is.

A seam: the web knows `PhoneSecrets`, the Asterisk adapter satisfies `SecretStore`, `services.page_phones` stands between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cti.errors import CtiError, RemoteError

CLOSED = ""
"""The mark of a place that nobody can use: its secret was made up and told to nobody."""
PLACES = 3
"""Secrets of one account that are good at the same time."""


VISITORS = "webcall"
"""The one account of all visitors, where passwords stand."""


def line_names(lines: int) -> tuple[str, ...]:
    """The accounts for visitors."""
    return tuple(f"webcall-{number:02d}" for number in range(1, lines + 1))


def places_of(account: str) -> tuple[str, ...]:
    """Where the secrets of a page's account are kept."""
    return tuple(f"{account}.{number}" for number in range(1, PLACES + 1))


class LinesBusy(CtiError):
    """Every line for calls from the page is taken, or as many as one address may have. `retry_after` is in seconds."""

    error_id = "lines_busy"

    def __init__(self, lines: int, retry_after: int, *, of_address: bool = False) -> None:
        """`of_address`: these are the lines that one address may have."""
        super().__init__(
            f"all {lines} lines for calls from the page are taken"
            if not of_address
            else f"{lines} calls from the page go on from this address, which is its share of the lines",
            remedy="try again in a minute, or dial one of the centre's numbers; sip.webcall_lines is how many there are",
        )
        self.retry_after = retry_after


class SecretsStand(RemoteError):
    """The Asterisk that runs lets this account in by the password in its files, and by no secret of ours.

    It was started before those were known: it is until it is started again.
    """

    def __init__(self, account: str) -> None:
        super().__init__(
            f"Asterisk still has a standing password for {account}",
            remedy="start Asterisk again in a quiet hour (docs/operations.md, Upgrade)",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLogin:
    """The log-in behind a page: its secret ends with it. `ends` is seconds since the epoch."""

    username: str
    role: str
    nonce: str
    epoch: int
    """Of the account's password: a new one ends every log-in."""
    ends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorLine:
    """An account for one call, and until when it may be begun (seconds since the epoch)."""

    account: str
    secret: str = field(repr=False)
    until: int


class PhoneSecrets(Protocol):
    """Gives secrets to pages, and ends them."""

    async def for_page(self, account: str, login: PageLogin) -> str:
        """A fresh secret of `account` for the page of that log-in. Those given before stay good for a while.

        Raises `SecretsStand`, or another `RemoteError` when Asterisk cannot be told.
        """
        ...

    async def for_visitor(self, address: str) -> VisitorLine:
        """A line for one call by somebody at `address`.

        Raises `LinesBusy`, `SecretsStand`, or another `RemoteError` when Asterisk cannot be told.
        """
        ...

    def ended(self, nonce: str) -> None:
        """That log-in is over: so are its secrets, as soon as Asterisk can be told."""
        ...

    def look(self, holds: Callable[[PageLogin], bool]) -> None:
        """End the secrets of log-ins that do not hold any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What Asterisk keeps."""

    marks: Mapping[str, str]
    """Place -> its mark; `CLOSED` for one that nobody can use."""
    tickets: Mapping[str, int]
    """Line -> until when a call may be begun on it (seconds since the epoch), 0: no more."""


class SecretStore(Protocol):
    """Asterisk's own memory of secrets. All of it raises `RemoteError`."""

    def connected(self) -> bool:
        """Whether Asterisk can be told now."""
        ...

    async def read(self) -> Kept:
        """All that is kept."""
        ...

    async def put(self, place: str, *, account: str, secret: str, mark: str) -> None:
        """From now on `secret` opens `account`, and what stood at this place does not."""
        ...

    async def ticket(self, line: str, until: int) -> None:
        """One call may be begun on `line` until then; 0: none."""
        ...

    async def forget(self, place: str) -> None:
        """Keep nothing at this place."""
        ...

    async def believes(self, account: str, place: str) -> bool:
        """Whether Asterisk lets `account` in by what is kept at `place`."""
        ...
