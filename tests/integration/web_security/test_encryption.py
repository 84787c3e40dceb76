"""TLS: the certificate made here, one of one's own, its renewal, what is refused, and plain HTTP that is sent on."""

from __future__ import annotations

import asyncio
import ssl
from datetime import timedelta

import aiohttp
import pytest
from cryptography import x509

from cti import certificates as module
from cti.certificates import Certificates, client_context, encrypted, ensure, names_of
from cti.errors import ConfigError
from cti.self_signed import GOOD_FOR, make
from cti.settings import load_settings
from cti.web.app import build_app, serving
from cti.web.auth.origins import allowed_origins
from cti.web.redirect import redirecting
from tests.support.fake_floor import FakeFloor, StandingClock, demo_centre, make_deps


def settings(tmp_path, **overrides):
    return load_settings(environ={}, overrides={"data": str(tmp_path), **overrides})


@pytest.mark.parametrize(
    ("bind", "mode", "wanted"),
    [
        ("127.0.0.1", "auto", False), ("::1", "auto", False), ("localhost", "auto", False), ("127.5.5.5", "auto", False),
        ("0.0.0.0", "auto", True), ("192.0.2.7", "auto", True), ("::", "auto", True), ("floor.example", "auto", True),
        ("127.0.0.1", "on", True), ("0.0.0.0", "off", False),
    ],
)  # fmt: skip
def test_where_others_reach_the_pages_they_are_encrypted(tmp_path, bind, mode, wanted):
    assert encrypted(settings(tmp_path, **{"network.bind": bind, "tls.mode": mode})) is wanted


def test_the_certificate_made_here_is_private_named_and_renewed(tmp_path):
    clock = StandingClock()
    at = {"network.bind": "0.0.0.0", "network.public_address": "Floor.example", "tls.names": ["192.0.2.9"]}
    chosen = settings(tmp_path, **at)
    files = ensure(chosen, clock.now())
    first = files.certificate.read_bytes()
    assert files.key.stat().st_mode & 0o777 == 0o600
    found = x509.load_pem_x509_certificate(first)
    told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = {*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))}
    assert {"Floor.example", "192.0.2.9", "localhost", "127.0.0.1"} <= known
    assert "0.0.0.0" not in known
    assert ensure(chosen, clock.now()).certificate.read_bytes() == first
    clock.move(GOOD_FOR - timedelta(days=31))
    assert ensure(chosen, clock.now()).certificate.read_bytes() == first
    clock.move(timedelta(days=2))
    second = ensure(chosen, clock.now()).certificate.read_bytes()
    assert second != first
    more = settings(tmp_path, **{**at, "tls.names": ["192.0.2.9", "new.example"]})
    assert ensure(more, clock.now()).certificate.read_bytes() != second
    files.key.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read it"):
        Certificates(
            settings(tmp_path, **{"tls.certificate": str(files.certificate), "tls.key": str(files.key)}), clock
        )


def test_names_however_they_are_written_are_of_one_certificate(tmp_path):
    told = ["[FD00:0:0::0001]", "fe80::1%eth0", "bücher.example", "ü" * 70 + ".example", "0:0:0:0:0:0:0:0"]
    chosen = settings(tmp_path, **{"network.bind": "0.0.0.0", "tls.names": told})
    names = names_of(chosen)
    assert {"fd00::1", "fe80::1", "xn--bcher-kva.example", "::1"} <= set(names)
    assert all(name.isascii() and name not in ("::", "0.0.0.0") for name in names)
    now = StandingClock().now()
    first = ensure(chosen, now).certificate.read_bytes()
    assert ensure(chosen, now).certificate.read_bytes() == first


def test_a_certificate_that_cannot_be_made_anew_goes_on_until_it_ends(tmp_path, monkeypatch):
    clock = StandingClock()
    chosen = settings(tmp_path, **{"network.bind": "0.0.0.0"})

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_private", full)
    with pytest.raises(ConfigError, match="No space left") as caught:
        ensure(chosen, clock.now())
    assert "tls.certificate" in caught.value.remedy
    monkeypatch.undo()
    certificates = Certificates(chosen, clock)
    monkeypatch.setattr(module, "write_private", full)
    clock.move(GOOD_FOR - timedelta(days=3))
    assert ensure(chosen, clock.now()) == certificates.files
    clock.move(timedelta(days=4))
    with pytest.raises(ConfigError, match="no certificate can be made"):
        ensure(chosen, clock.now())
    assert not certificates.look()

    def broken(settings, now):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "ensure", broken)
    assert not certificates.look()


def test_a_certificate_comes_with_its_key(tmp_path):
    with pytest.raises(ConfigError, match="go together"):
        settings(tmp_path, **{"tls.certificate": "x.pem"})
    with pytest.raises(ConfigError):
        ensure(settings(tmp_path, **{"tls.certificate": "/nowhere/x", "tls.key": "/nowhere/y"}), StandingClock().now())


def own_pair(folder, clock, *names):
    certificate, key = make(names, clock.now())
    (folder / "own.pem").write_bytes(certificate)
    (folder / "own.key").write_bytes(key)
    (folder / "own.key").chmod(0o600)


async def test_pages_over_tls_and_a_new_certificate_without_a_restart(tmp_path):
    from cti.clock import SystemClock

    clock = SystemClock()
    own_pair(tmp_path, clock, "first.example", "127.0.0.1")
    chosen = settings(
        tmp_path,
        **{"tls.mode": "on", "tls.certificate": str(tmp_path / "own.pem"), "tls.key": str(tmp_path / "own.key")},
    )
    certificates = Certificates(chosen, clock)
    deps = make_deps(
        FakeFloor(demo_centre(), clock=clock),
        tmp_path,
        secure_cookies=True,
        trusted_certificate=certificates.files.own,
        origins=allowed_origins(chosen, schemes=("https",)),
    )

    async def served(port, **more):
        async with aiohttp.ClientSession() as http, http.get(f"https://127.0.0.1:{port}/healthz", **more) as answer:
            assert answer.status == 200
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
            assert answer.connection is None or answer.connection.transport is not None
            return answer

    def names(port):
        text = ssl.get_server_certificate(("127.0.0.1", port))
        return x509.load_pem_x509_certificate(text.encode()).subject.rfc4514_string()

    async with serving(build_app(deps), "127.0.0.1", 0, tls=certificates.context) as port:
        await served(port, ssl=client_context(chosen))
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await served(port)  # nobody trusts it who does not know it
        with pytest.raises((aiohttp.ClientError, ConnectionError)):  # plain HTTP is not answered here
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/healthz") as answer:
                answer.raise_for_status()
        assert "first.example" in await asyncio.to_thread(names, port)
        own_pair(tmp_path, clock, "second.example", "127.0.0.1")
        assert certificates.look()
        assert "second.example" in await asyncio.to_thread(names, port)
        (tmp_path / "own.pem").write_text("half a file")
        assert not certificates.look()
        assert "second.example" in await asyncio.to_thread(names, port)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_any(version, version)
            await served(port, ssl=context)
        old = client_any(ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
        with pytest.raises(aiohttp.ClientError):
            await served(port, ssl=old)


def client_any(least, most):
    import warnings

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = least, most
    return context


async def test_plain_http_is_sent_on_to_our_own_names_only():
    known = frozenset({"floor.example", "127.0.0.1"})
    async with (
        redirecting("127.0.0.1", 0, to_port=8080, known_as=known, usual="floor.example") as port,
        aiohttp.ClientSession() as http,
    ):

        async def sent(path, host=None):
            headers = {} if host is None else {"Host": host}
            async with http.get(f"http://127.0.0.1:{port}{path}", headers=headers, allow_redirects=False) as answer:
                assert answer.status == 308
                return answer.headers["Location"]

        assert await sent("/agent?x=1") == "https://127.0.0.1:8080/agent?x=1"
        assert await sent("/agent", "Floor.Example:80") == "https://floor.example:8080/agent"
        assert await sent("/agent", "evil.example") == "https://floor.example:8080/agent"
        assert (await sent("//evil.example/x")).startswith("https://127.0.0.1:8080/")


def test_where_the_server_encrypts_only_encrypted_pages_are_its_own(tmp_path):
    chosen = settings(tmp_path, **{"network.bind": "0.0.0.0", "tls.names": ["desk.example"]})
    known = allowed_origins(chosen, schemes=("https",))
    assert all(origin.startswith("https://") for origin in known)
    assert "https://desk.example:8080" in known
    assert set(names_of(chosen)) >= {"desk.example", "localhost"}
