"""The settings of addresses, of the SIP port and of the line to the carrier. Sections of `cti.settings`, which has the others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, field_validator, model_validator


class Network(BaseModel):
    """Addresses, and who has gone. Everything listens on `bind`; `public_address` is what browsers and phones are told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bind: str = "127.0.0.1"
    public_address: str = "127.0.0.1"
    alive_seconds: int = Field(default=0, ge=0, le=7200)
    """The session timer of SIP (RFC 4028) on the trunk, whether or not the carrier knows it: each half of it the carrier is asked
    whether the call lives. 0: Asterisk's usual, 1,800 s and only with those who want it."""
    silence_seconds: int = Field(default=600, ge=0, le=7200)
    """Of whom no packet of sound came for so long has gone, whatever answers by SIP; 0: never."""
    public_url: str = ""
    """What browsers open behind a proxy, such as https://cc.example.com; the proxy sends /ws on to `ports.ws`. Empty: no proxy."""

    proxies: tuple[IPvAnyNetwork, ...] = ()
    """Proxies in front of the pages that are believed when they say, by X-Forwarded-For, who asks: addresses and networks."""

    @field_validator("alive_seconds")
    @classmethod
    def _askable(cls, value: int) -> int:
        if 0 < value < 90:
            raise ValueError("SIP allows no session timer below 90 seconds (RFC 4028); 0 is off")
        return value

    @model_validator(mode="after")
    def _countable(self) -> Network:
        if self.alive_seconds and self.silence_seconds * 2 >= self.alive_seconds:
            every = self.alive_seconds // 2
            raise ValueError(
                f"with alive_seconds {self.alive_seconds} the carrier is asked every {every} s, and each question starts the count of "
                f"silence anew: silence_seconds {self.silence_seconds} would never be reached. "
                f"Set silence_seconds below half of alive_seconds, or one of the two to 0"
            )
        return self

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        # As browsers write an origin: in small letters, without the scheme's own port.
        found = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?/?", value.lower())
        if not value:
            return value
        if found is None:
            raise ValueError("write it as https://cc.example.com: scheme, name and port, and nothing more")
        scheme, host, port = found.groups(default="")
        return f"{scheme}://{host}{'' if port == {'http': ':80', 'https': ':443'}[scheme] else port}"


class Sip(BaseModel):
    """The SIP port: how it is encrypted, who is shut out of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tls: bool = True
    """Where the pages speak TLS, phones may too: SIP over TLS at `ports.sip_tls`, and SRTP."""
    srtp: Literal["offered", "required"] = "offered"
    """Of SIP telephones where there is TLS: offered with plain sound as the other choice, or required and nothing else taken.
    Telephones that insist on SRTP take no offer that has the other choice (measured: 488)."""
    ban_after: int = Field(default=300, ge=0, le=1_000_000)
    """An address refused so often within a minute is banned, and so are those that are together (`cti.asterisk.bans`); 0: never."""
    ban_minutes: int = Field(default=10, ge=1, le=1440)
    """Each time twice as long as the time before, a day at most."""
    browser_secrets: str = Field(default="short", pattern=r"^(short|standing)$")
    """short: telephones in pages are given secrets that end; standing: one each in Asterisk's files, for as long as it lies there."""
    webcall_lines: int = Field(default=20, ge=1, le=500)
    """How many visitors may call from the page at the same time."""
    never_ban: tuple[IPvAnyNetwork, ...] = ()
    """Addresses and networks that are never banned, besides the carrier's: offices, proxies."""


class Trunk(BaseModel):
    """The line to the carrier. `match` lists the carrier's addresses; a call from there is a caller."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="trunk", pattern=r"^[a-z][a-z0-9-]*$")
    match: tuple[str, ...] = ("127.0.0.2",)
    address: str = Field(default="", pattern=r"^$|^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$")
    """Where calls to outside numbers are sent, host or host:port; empty: nothing is ever dialled over the trunk."""
    encrypted: bool = False
    """Calls go to the carrier by SIP over TLS only, its certificate is checked, and sound is SRTP both ways."""
    authority: Path | None = None
    """Certificates (PEM) of whoever vouches for the carrier's; None: whom this machine trusts."""

    @field_validator("authority")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()
