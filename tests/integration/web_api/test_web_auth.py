"""Logging in and out, tokens over a restart, limits, and where requests may come from."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiohttp import WSServerHandshakeError

from cti.web.auth.sessions import LIFETIME

OURS = "http://127.0.0.1:8080"
THEIRS = (
    "http://evil.example",
    "https://127.0.0.1:8080",
    "http://127.0.0.1:8081",
    "http://127.0.0.1",
    "http://127.0.0.1:8080.evil.example",
    "http://evil.example/http://127.0.0.1:8080",
    "HTTP://127.0.0.1:8080",
    "http://127.0.0.1:8080/",
    "http://[::1]:8080",
    "null",
    "",
)


async def cookie_of(site, user="1001"):
    return {"Cookie": f"cti_session={await site.token(user)}"}


async def test_login_gives_a_token_a_user_and_a_cookie(site):
    async with site.client.post(
        "/api/v1/login", json={"username": "1002", "password": "demo"}, headers={"Origin": OURS}
    ) as answer:
        said = await answer.json()
        cookie = answer.headers["Set-Cookie"]
    assert said["user"] == {
        "username": "1002",
        "role": "agent",
        "agent_id": "1002",
        "name": "陈晓雨",
        "language": "en",
    }
    assert said["token"] in cookie
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= parts
    assert "secure" not in parts


async def test_the_cookie_is_secure_over_https(make_site):
    site = await make_site(secure_cookies=True)
    answer, _ = await site.ask("POST", "/api/v1/login", json={"username": "1001", "password": "demo"})
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(("username", "password"), [("1001", "Demo"), ("nobody", "demo"), ("1001", " demo")])
async def test_a_wrong_login_does_not_say_what_was_wrong(site, username, password):
    answer, said = await site.ask("POST", "/api/v1/login", json={"username": username, "password": password})
    assert (answer.status, said["error"]["id"]) == (401, "wrong_login")
    assert said["error"]["message"] == "user name or password is wrong"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x.y", "Basic MTAwMTpkZW1v", "Bearer " + "a" * 5000, "Bearer \N{SNOWMAN}", "demo"],
)
async def test_tokens_that_are_none(site, header):
    answer, said = await site.ask("GET", "/api/v1/me", headers={"Authorization": header})
    assert (answer.status, said["error"]["id"]) == (401, "not_logged_in")


async def test_a_forged_or_foreign_token_is_none(site, make_site):
    token = await site.token("1001")
    half = len(token) - 20  # inside the signature
    changed = token[:half] + ("A" if token[half] != "A" else "B") + token[half + 1 :]
    for forged in (changed, token.swapcase(), "x" + token, token.split(".")[0]):
        answer, _ = await site.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {forged}"})
        assert answer.status == 401
    other = await make_site(session_key="another key")
    answer, _ = await other.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status == 401


async def test_a_bad_authorization_header_is_not_mended_by_a_cookie(site):
    headers = {**await cookie_of(site), "Authorization": "Bearer nonsense"}
    answer, _ = await site.ask("GET", "/api/v1/me", headers=headers)
    assert answer.status == 401


async def test_a_session_survives_a_restart_and_a_logout_does_too(site, make_site):
    kept, ended = await site.token("1001"), await site.token("1002")
    answer, _ = await site.ask("POST", "/api/v1/logout", "1002")
    assert answer.status == 200
    restarted = await make_site()
    answer, said = await restarted.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {kept}"})
    assert (answer.status, said["user"]["username"]) == (200, "1001")
    answer, _ = await restarted.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {ended}"})
    assert answer.status == 401
    assert restarted.deps.revoked_file.stat().st_mode & 0o777 == 0o600


async def test_a_session_ends_after_its_hours(site):
    await site.token("1001")
    for _ in range(12):
        site.clock.move(LIFETIME / 12 - timedelta(seconds=1))
        assert (await site.ask("GET", "/api/v1/me", "1001"))[0].status == 200
    site.clock.move(timedelta(seconds=12))
    assert (await site.ask("GET", "/api/v1/me", "1001"))[0].status == 401


async def test_logging_out_ends_only_that_session(site):
    first = await site.token("1001")
    site._tokens.clear()
    second = await site.token("1001")
    assert first != second
    headers = {**{"Authorization": f"Bearer {first}"}}
    assert (await site.ask("POST", "/api/v1/logout", headers=headers))[0].status == 200
    assert (await site.ask("GET", "/api/v1/me", headers=headers))[0].status == 401
    assert (await site.ask("GET", "/api/v1/me", "1001"))[0].status == 200


async def test_five_wrong_passwords_lock_that_account_from_that_address_for_a_while(site):
    async def wrong(username="1001"):
        return (await site.ask("POST", "/api/v1/login", json={"username": username, "password": "no"}))[0]

    for _ in range(5):
        assert (await wrong()).status == 401
    answer = await wrong()
    assert (answer.status, int(answer.headers["Retry-After"])) == (429, 60)
    right = {"username": "1001", "password": "demo"}
    assert (await site.ask("POST", "/api/v1/login", json=right))[0].status == 429
    assert (await wrong("1002")).status == 401
    site.clock.move(timedelta(seconds=60))
    assert (await wrong()).status == 401
    answer = await wrong()
    assert (answer.status, int(answer.headers["Retry-After"])) == (429, 120)
    site.clock.move(timedelta(seconds=120))
    assert (await site.ask("POST", "/api/v1/login", json=right))[0].status == 200
    assert site.metric("cti_logins_total", result="limited") == 3


async def test_tries_made_at_once_count_too(site):
    tries = [site.ask("POST", "/api/v1/login", json={"username": "1001", "password": "no"}) for _ in range(12)]
    statuses = sorted([answer.status for answer, _ in await asyncio.gather(*tries)])
    assert statuses == [401] * 5 + [429] * 7


async def test_right_passwords_do_not_use_up_the_tries(site):
    for _ in range(40):
        answer, _ = await site.ask("POST", "/api/v1/login", json={"username": "1001", "password": "demo"})
        assert answer.status == 200


async def test_one_address_cannot_try_many_accounts(site):
    statuses = []
    for i in range(31):
        answer, _ = await site.ask("POST", "/api/v1/login", json={"username": f"user{i}", "password": "no"})
        statuses.append(answer.status)
    assert statuses == [401] * 30 + [429]


@pytest.mark.parametrize("origin", THEIRS)
async def test_a_cookie_from_another_page_changes_nothing(site, origin):
    for path, body in (
        ("/api/v1/agent/state", {"state": "ready"}),
        ("/api/v1/logout", None),
        ("/api/v1/agent/offers/1/reject", None),
        ("/api/v1/agent/calls/a1-1.1/hangup", None),
    ):
        answer, said = await site.ask(
            "POST", path, headers={**await cookie_of(site), "Origin": origin}, **({"json": body} if body else {})
        )
        assert (answer.status, said["error"]["id"]) == (403, "wrong_origin")
    assert site.floor.asked == []
    assert (await site.ask("GET", "/api/v1/me", "1001"))[0].status == 200


async def test_a_cookie_without_origin_changes_nothing_and_with_ours_does(site):
    cookie = await cookie_of(site)
    answer, said = await site.ask("POST", "/api/v1/agent/state", headers=cookie, json={"state": "ready"})
    assert (answer.status, said["error"]["id"]) == (403, "wrong_origin")
    for origin in (OURS, "http://localhost:8080"):
        answer, _ = await site.ask(
            "POST", "/api/v1/agent/state", headers={**cookie, "Origin": origin}, json={"state": "ready"}
        )
        assert answer.status == 200
    assert len(site.floor.asked) == 2


async def test_a_cookie_reads_without_origin(site):
    assert (await site.ask("GET", "/api/v1/agent", headers=await cookie_of(site)))[0].status == 200


async def test_a_token_needs_no_origin_but_a_foreign_one_is_refused(site):
    body = {"state": "ready"}
    assert (await site.ask("POST", "/api/v1/agent/state", "1001", json=body))[0].status == 200
    answer, _ = await site.ask(
        "POST", "/api/v1/agent/state", "1001", json=body, headers={"Origin": "http://evil.example"}
    )
    assert answer.status == 403


@pytest.mark.parametrize("path", ["/api/v1/login", "/api/v1/webcall"])
async def test_public_requests_from_another_page_are_refused(site, path):
    body = {"username": "1001", "password": "demo"}
    answer, _ = await site.ask("POST", path, json=body, headers={"Origin": "http://evil.example"})
    assert answer.status == 403
    answer, _ = await site.ask("POST", path, json=body, headers={"Origin": OURS})
    assert answer.status == 200


@pytest.mark.parametrize("origin", [*THEIRS, None])
async def test_another_page_cannot_open_the_feed_with_our_cookie(site, origin):
    headers = await cookie_of(site)
    if origin is not None:
        headers["Origin"] = origin
    with pytest.raises(WSServerHandshakeError) as refused:
        await site.client.ws_connect("/api/v1/feed", headers=headers)
    assert refused.value.status == 403
    assert site.floor.pages == {}


async def test_our_page_opens_the_feed_with_its_cookie(site):
    async with site.client.ws_connect("/api/v1/feed", headers={**await cookie_of(site), "Origin": OURS}) as feed:
        assert (await feed.receive_json())["type"] == "snapshot"


async def test_nobody_opens_the_feed_without_a_session(site):
    with pytest.raises(WSServerHandshakeError) as refused:
        await site.client.ws_connect("/api/v1/feed", headers={"Origin": OURS})
    assert refused.value.status == 401


async def test_an_account_whose_agent_is_gone_from_the_centre_is_told_so(make_site, tmp_path):
    from cti.web.auth.accounts import Account, Accounts
    from cti.web.auth.permissions import Role
    from tests.support.fake_floor import QUICK_HASHER

    accounts = Accounts(
        {"9999": Account(username="9999", role=Role.AGENT, agent_id="9999", hash=QUICK_HASHER.hash("demo"))},
        hasher=QUICK_HASHER,
    )
    site = await make_site(accounts=accounts)
    answer, said = await site.ask("GET", "/api/v1/agent", "9999")
    assert (answer.status, said["error"]["id"]) == (403, "not_an_agent")
    assert (await site.ask("GET", "/api/v1/me", "9999"))[0].status == 200
