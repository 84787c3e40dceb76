"""Logging in by a provider: as it should be, with a provider that others wrote, and with one that lies."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from yarl import URL

from cti.clock import SystemClock
from cti.settings import Oidc
from cti.web.auth.permissions import Role
from cti.web.auth.provider import ProviderAway
from cti.web.auth.provider_routes import BACK, OIDC, START, TRIES
from tests.support.fake_floor import StandingClock
from tests.support.forging_provider import CLIENT, ForgingProvider

ROLES = {"floor-leads": "supervisor", "admins": "admin", "desks": "agent"}


class Home:
    """A site, its provider, and browsers that go there and back."""

    def __init__(self, site: Any, provider: ForgingProvider) -> None:
        self.site, self.provider = site, provider

    async def away(self, browser: aiohttp.ClientSession) -> dict[str, str]:
        async with browser.get(START, allow_redirects=False) as answer:
            assert answer.status == 302
            return self.provider.allow(answer.headers["Location"])

    async def back(self, browser: aiohttp.ClientSession, query: dict[str, str]) -> str:
        """Comes back; gives the reason of a refusal, or "" and is logged in."""
        async with browser.get(URL(BACK).with_query(query), allow_redirects=False) as answer:
            text = await answer.text()
            cookies = answer.headers.getall("Set-Cookie", [])
        reason = text.split("refused=")[1].split('"')[0] if "refused=" in text else ""
        assert any(one.startswith("cti_session=") for one in cookies) == (reason == "")
        return reason

    async def log_in(self, browser: aiohttp.ClientSession) -> str:
        return await self.back(browser, await self.away(browser))

    async def me(self, browser: aiohttp.ClientSession) -> Any:
        async with browser.get("/api/v1/me") as answer:
            return (await answer.json()).get("user")


@pytest.fixture
async def home(make_attacked: Any) -> AsyncIterator[Home]:
    clock = StandingClock()
    provider = ForgingProvider(clock)
    await provider.server.start_server()
    site = await make_attacked(
        clock=clock, oidc=Oidc(issuer=provider.issuer, client_id=CLIENT, roles=ROLES, agent_claim="extension")
    )
    yield Home(site, provider)
    await provider.server.close()


async def test_the_request_has_all_that_protects_it(home):
    browser = home.site.from_address("127.0.0.5")
    async with browser.get("/api/v1/login") as answer:
        assert (await answer.json())["provider"] == {"label": "Single sign-on", "path": START}
    async with browser.get(START, allow_redirects=False) as answer:
        location, cookie = answer.headers["Location"], answer.headers["Set-Cookie"]
    home.provider.allow(location)
    asked = {name: values[0] for name, values in home.provider.asked.items()}
    assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", CLIENT)
    assert asked["redirect_uri"].endswith(BACK)
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 32
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}


async def test_the_role_is_what_the_claim_says_at_each_log_in(home):
    browser = home.site.from_address("127.0.0.5")
    assert await home.log_in(browser) == ""
    me = await home.me(browser)
    assert (me["username"], me["role"], me["name"]) == ("alice", "supervisor", "Alice Example")
    assert home.site.deps.accounts.get("alice").hash == ""
    # No password opens an account that logs in elsewhere.
    for password in ("", " ", "demo"):
        assert (await home.site.log_in(home.site.from_address("127.0.0.9"), "alice", password or "x"))[0] == 401
    other = home.site.from_address("127.0.0.6")
    home.provider.claims = {**home.provider.claims, "groups": ["admins", "floor-leads"]}
    assert await home.log_in(other) == ""
    assert (await home.me(other))["role"] == "admin"
    assert await home.me(browser) is None  # the log-in as a supervisor is over
    home.provider.claims = {**home.provider.claims, "groups": ["guests"]}
    assert await home.log_in(other) == "no_role"


async def test_an_agent_is_the_one_of_the_extension(home):
    browser = home.site.from_address("127.0.0.5")
    home.provider.claims = {"sub": "bob-1", "preferred_username": "bob", "groups": "desks", "extension": "1003"}
    assert await home.log_in(browser) == ""
    me = await home.me(browser)
    assert (me["username"], me["role"], me["agent_id"]) == ("1003", "agent", "1003")
    home.provider.claims = {**home.provider.claims, "sub": "mallory-1"}
    assert await home.log_in(home.site.from_address("127.0.0.6")) == "name_taken"
    home.provider.claims = {**home.provider.claims, "extension": "4999"}
    assert await home.log_in(browser) == "no_agent"


@pytest.mark.parametrize("name", ["admin", "supervisor", "1001"])
async def test_nobody_becomes_somebody_who_is_there_already(home, name):
    home.provider.claims = {**home.provider.claims, "preferred_username": name, "groups": ["admins"]}
    assert await home.log_in(home.site.from_address("127.0.0.5")) == "name_taken"
    assert home.site.deps.accounts.get(name).subject == ""


@pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 65, "<b>", "né", None, 7, ["alice"]])
async def test_names_that_cannot_be_one(home, name):
    home.provider.claims = {**home.provider.claims, "preferred_username": name}
    assert await home.log_in(home.site.from_address("127.0.0.5")) == "no_name"


def forgeries(provider: ForgingProvider) -> dict[str, tuple[str, Any]]:
    """Kind -> reason it must be refused for, and what it makes of the claims."""

    def changed(**more: Any) -> Any:
        return lambda claims: {**claims, **more}

    def without(name: str) -> Any:
        return lambda claims: {key: value for key, value in claims.items() if key != name}

    now = int(provider.clock.now().timestamp())
    elliptic = provider.elliptic()
    return {
        "unsigned": ("wrong_algorithm", provider.unsigned),
        "unsigned, spelled otherwise": ("wrong_algorithm", lambda claims: provider.unsigned(claims, "nOnE")),
        "algorithm of a signature, and none there": (
            "wrong_signature",
            lambda claims: provider.unsigned(claims, "RS256"),
        ),
        "shared secret": ("wrong_algorithm", provider.signed_with_public_key),
        "another key of the same name": (
            "wrong_signature",
            lambda claims: provider.sign(claims, key=provider.other_key()),
        ),
        "a key that is not published": (
            "wrong_signature",
            lambda claims: provider.sign(claims, key=elliptic, alg="ES256", kid="second"),
        ),
        "a key that the token brings along": (
            "wrong_signature",
            lambda claims: provider.sign(claims, key=(key := provider.other_key()), jwk=key.as_dict(private=False)),
        ),
        "changed after signing": ("wrong_signature", provider.tampered),
        "no token at all": ("wrong_signature", lambda _claims: "nonsense"),
        "encrypted form": ("wrong_signature", lambda claims: provider.sign(claims) + ".a.b"),
        "another issuer": ("wrong_issuer", changed(iss="https://evil.example")),
        "the issuer with a slash more": ("wrong_issuer", lambda claims: {**claims, "iss": claims["iss"] + "/"}),
        "no issuer": ("wrong_issuer", without("iss")),
        "for another program": ("wrong_audience", changed(aud="other")),
        "for several, and not us": ("wrong_audience", changed(aud=["other", "more"])),
        "for several, made for another": ("wrong_audience", changed(aud=[CLIENT, "other"], azp="other")),
        "for several, made for nobody": ("wrong_audience", changed(aud=[CLIENT, "other"])),
        "for nobody": ("wrong_audience", without("aud")),
        "ended": ("wrong_time", changed(exp=now - 61)),
        "without an end": ("wrong_time", without("exp")),
        "an end that is no time": ("wrong_time", changed(exp="never")),
        "made in the future": ("wrong_time", changed(iat=now + 120)),
        "made long ago": ("wrong_time", changed(iat=now - 3600)),
        "not yet good": ("wrong_time", changed(nbf=now + 120)),
        "another nonce": ("wrong_nonce", changed(nonce="another")),
        "no nonce": ("wrong_nonce", without("nonce")),
        "of nobody": ("no_subject", without("sub")),
        "of a number": ("no_subject", changed(sub=7)),
    }


async def test_each_kind_of_forged_token_is_refused(home):
    """28 kinds, each once through the whole way from the log-in page and back."""
    kinds = forgeries(home.provider)
    assert len(kinds) == 28
    for number, (kind, (reason, forge)) in enumerate(kinds.items()):
        home.site.clock.move(timedelta(seconds=0.01))
        home.provider.forge = forge
        browser = home.site.from_address(f"127.0.1.{number + 1}")
        assert await home.log_in(browser) == reason, kind
        assert await home.me(browser) is None
    assert home.site.deps.accounts.get("alice") is None
    home.provider.forge = lambda claims: claims
    assert await home.log_in(home.site.from_address("127.0.0.5")) == ""


async def test_an_answer_belongs_to_the_browser_that_was_sent_away_and_once(home):
    mine, theirs = home.site.from_address("127.0.0.5"), home.site.from_address("127.0.0.6")
    query = await home.away(mine)
    # Somebody else's browser, made to open the address with a code of the attacker's.
    assert await home.back(theirs, query) == "wrong_state"
    assert await home.back(mine, {**query, "state": "another"}) == "wrong_state"
    assert await home.back(mine, await home.away(mine)) == ""
    old = await home.away(theirs)
    cookie = next(one for one in theirs.cookie_jar if one.key == "cti_away").value
    assert await home.back(theirs, old) == ""
    theirs.cookie_jar.update_cookies({"cti_away": cookie}, home.site.url)
    assert await home.back(theirs, old) == "wrong_state"
    query = await home.away(mine)
    assert await home.back(mine, {**query, "iss": "https://evil.example"}) == "wrong_issuer"
    query = await home.away(mine)
    assert await home.back(mine, {"error": "access_denied", "state": query["state"]}) == "denied"
    query = await home.away(mine)
    assert await home.back(mine, {**query, "code": "stolen-elsewhere"}) == "no_token"


async def test_changed_keys_are_fetched_and_not_more_often_than_needed(home):
    browser = home.site.from_address("127.0.0.5")
    for _ in range(3):
        assert await home.log_in(browser) == ""
    assert home.provider.times_keys_asked == 1
    fresh = home.provider.elliptic()
    home.provider.published = [fresh]
    home.provider.forge = lambda claims: home.provider.sign(claims, key=fresh, alg="ES256", kid="second")
    home.site.clock.move(timedelta(seconds=11))
    assert await home.log_in(browser) == ""
    assert home.provider.times_keys_asked == 2
    home.provider.forge = home.provider.tampered
    for _ in range(5):
        assert await home.log_in(browser) != ""
    assert home.provider.times_keys_asked <= 3


async def test_a_provider_that_is_away_lets_nobody_in_and_passwords_work(home):
    await home.provider.server.close()
    browser = home.site.from_address("127.0.0.5")
    async with browser.get(START, allow_redirects=False) as answer:
        assert "refused=provider_away" in await answer.text()
    assert (await home.site.log_in(browser, "1001"))[0] == 200


async def test_a_provider_that_failed_is_left_alone_for_a_moment(home):
    asked = []
    provider = home.site.client.app[OIDC]
    ask = provider._ask

    async def failing(method, address, **more):
        asked.append(address)
        raise ProviderAway("the provider does not answer", remedy="try again in a moment")

    provider._ask = failing
    browser = home.site.from_address("127.0.0.5")
    for _ in range(3):
        async with browser.get(START, allow_redirects=False) as answer:
            assert "refused=provider_away" in await answer.text()
    assert len(asked) == 1
    provider._ask = ask
    home.site.clock.move(timedelta(seconds=5))
    assert await home.log_in(browser) == ""


async def test_one_address_makes_us_ask_so_often_a_minute(home):
    browser = home.site.from_address("127.0.0.5")
    assert await home.log_in(browser) == ""
    for _ in range(TRIES - 1):
        await home.away(browser)
        assert await home.back(browser, {"code": "x", "state": "another"}) == "wrong_state"
    async with browser.get(START, allow_redirects=False) as answer:
        assert "refused=too_many_attempts" in await answer.text()
    assert await home.back(browser, {"code": "x", "state": "another"}) == "too_many_attempts"
    assert await home.log_in(home.site.from_address("127.0.0.6")) == ""
    home.site.clock.move(timedelta(seconds=61))
    assert await home.log_in(browser) == ""


async def test_a_provider_that_others_wrote(make_attacked, tmp_path):
    """oidc-provider-mock (Authlib behind it) as a process of its own, asked by HTTP like any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    user = {"sub": "u-1", "preferred_username": "carol", "name": "Carol", "groups": ["floor-leads"]}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(port), "-n", "true", "--user-claims", json.dumps(user),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    secret = tmp_path / "client-secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    issuer = f"http://127.0.0.1:{port}"
    try:
        async with aiohttp.ClientSession() as outside, asyncio.timeout(50):
            while True:
                try:
                    async with outside.get(f"{issuer}/.well-known/openid-configuration") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientError:
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
            oidc = Oidc(issuer=issuer, client_id=CLIENT, client_secret_file=secret, roles=ROLES)
            site = await make_attacked(clock=SystemClock(), oidc=oidc)
            browser = site.from_address("127.0.0.5")
            async with browser.get(START, allow_redirects=False) as answer:
                location = answer.headers["Location"]
            async with outside.post(location, data={"sub": "u-1"}, allow_redirects=False) as answer:
                assert answer.status == 302, await answer.text()
                query = dict(URL(answer.headers["Location"]).query)
            async with browser.get(URL(BACK).with_query(query), allow_redirects=False) as answer:
                assert "refused" not in await answer.text()
            async with browser.get("/api/v1/me") as answer:
                me = (await answer.json())["user"]
            assert (me["username"], me["role"]) == ("carol", Role.SUPERVISOR)
    finally:
        process.kill()
        await process.wait()
