"""Encryption of the pages: whether it is on, and the certificate it is done with.

Without a certificate of the centre's own one is made at the first start, for the names and addresses it is reached by; browsers
warn of it once. It is made anew before it ends, and when a name was added. A certificate of one's own is read again when
its file changes: `Certificates` owns the one TLS context, and new connections get what was loaded last.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from cti.clock import Clock
from cti.errors import ConfigError
from cti.private_file import write_private
from cti.settings import Settings

log = structlog.get_logger(__name__)

EVERY = 30.0
"""Seconds between two looks whether the files have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Where the certificate and its key are. `own`: the centre's, not one made here."""

    certificate: Path
    key: Path
    own: bool


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def encrypted(settings: Settings) -> bool:
    """Whether the pages speak TLS."""
    mode = settings.tls.mode
    return mode == "on" or (mode == "auto" and not is_loopback(settings.network.bind))


def speaks_sip_tls(settings: Settings) -> bool:
    """Whether phones may register over TLS, with the certificate of the pages."""
    return encrypted(settings) and settings.sip.tls


def reached_by_https(settings: Settings) -> bool:
    """Whether browsers come by https: to us, or to a proxy in front."""
    return encrypted(settings) or settings.network.public_url.startswith("https://")


def files_of(settings: Settings) -> CertificateFiles:
    """The certificate and key of this centre, whether or not they are there yet. Other servers of the centre may use them."""
    tls, folder = settings.tls, settings.data / "secrets" / "tls"
    if tls.certificate is not None and tls.key is not None:
        return CertificateFiles(certificate=tls.certificate, key=tls.key, own=True)
    return CertificateFiles(certificate=folder / "certificate.pem", key=folder / "key.pem", own=False)


def _told(settings: Settings) -> tuple[str, ...]:
    return (
        settings.network.public_address, settings.network.bind, socket.gethostname(), *settings.tls.names, "localhost",
        "127.0.0.1", "::1",
    )  # fmt: skip


def _written(name: str) -> str | None:
    """A name or address as certificates and browsers write it: addresses in their one short form, names in ASCII.

    Empty: every address, or nothing. None: no name that could be written so.
    """
    bare = name.strip("[]")
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])  # a zone is this machine's own word
    except ValueError:
        pass
    else:
        return "" if address.is_unspecified else str(address)
    try:
        return bare if bare.isascii() else bare.encode("idna").decode()
    except UnicodeError:
        return None


def names_of(settings: Settings) -> tuple[str, ...]:
    """The names and addresses a certificate made here is for. What cannot be written in one is left out."""
    return tuple(dict.fromkeys(name for told in _told(settings) if (name := _written(told))))


def ensure(settings: Settings, now: datetime) -> CertificateFiles:
    """Check the centre's own certificate, or make one here where it is missing, ends soon, or is for other names.

    Where none can be made, the one that is there goes on until it ends. Raises `ConfigError`.
    """
    from cti.self_signed import good, make, pair  # a centre that is not encrypted has no use for it

    files = files_of(settings)
    if files.own:
        server_context(files)
        return files
    names, there = names_of(settings), pair(files.certificate, files.key)
    if there is None or not good(there, names, now):
        for told in _told(settings):
            if _written(told) is None:
                log.warning("name_not_in_certificate", name=told, remedy="write it as xn--... in tls.names")
        try:
            certificate, key = make(names, now)
            write_private(files.key, key)  # first: a certificate without its key would be none
            write_private(files.certificate, certificate)
        except (OSError, ValueError) as error:
            there = pair(files.certificate, files.key)
            if there is None or not there.not_valid_before_utc <= now < there.not_valid_after_utc:
                raise ConfigError(
                    f"{files.certificate}: no certificate can be made: {error}",
                    remedy=f"let the user the centre runs as write to {files.certificate.parent}, "
                    "or name a certificate of your own: tls.certificate, tls.key",
                ) from None
            log.warning("certificate_not_renewed", error=str(error), ends=there.not_valid_after_utc.isoformat())
    return files


def server_context(files: CertificateFiles) -> ssl.SSLContext:
    """TLS 1.2 and later, with that certificate. Raises `ConfigError` when it cannot be read, or others can read the key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: CertificateFiles) -> None:
    try:
        if stat.S_IMODE(files.key.stat().st_mode) & 0o077:
            raise ConfigError(f"{files.key}: others can read it", remedy=f"chmod 600 {files.key}")
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"{files.certificate}: {error.strerror or error}", remedy="check tls.certificate and tls.key"
        ) from None


def client_context(settings: Settings) -> ssl.SSLContext | None:
    """For programs on this machine that ask the bridge: they trust the certificate it has, and no other. None: no TLS."""
    if not encrypted(settings):
        return None
    context = ssl.create_default_context()
    context.check_hostname = False  # it is asked at an address of this machine, and must have this very certificate
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with contextlib.suppress(OSError):  # not there yet: nothing is trusted then
        context.load_verify_locations(files_of(settings).certificate)
    return context


class Certificates:
    """The TLS context of the pages, kept up with its files."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raises `ConfigError`."""
        self._settings = settings
        self._clock = clock
        self.files = ensure(settings, clock.now())
        self.context = server_context(self.files)
        self._stamp = self._now()

    def _now(self) -> tuple[int, ...]:
        try:
            return tuple(os.stat(file).st_mtime_ns for file in (self.files.certificate, self.files.key))
        except OSError:
            return ()

    def look(self) -> bool:
        """Take up what has changed; True when something was. What cannot be read is told, and the former one stays."""
        try:
            ensure(self._settings, self._clock.now())
            stamp = self._now()
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            server_context(self.files)  # tried apart: half of a pair must not get into the one in use
            _load(self.context, self.files)
        except (ConfigError, OSError, ValueError) as error:  # whatever it is must not end the looking
            log.error("certificate_not_taken_up", error=str(error))
            return False
        log.info("certificate_taken_up", file=str(self.files.certificate))
        return True

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(self.look)
