"""Guessing passwords, planted sessions, requests from other pages, feeds opened by other pages."""

from __future__ import annotations

import random
import string
from datetime import timedelta

import pytest
from aiohttp import WSServerHandshakeError

from cti.web.auth.accounts import TooBusy
from tests.integration.web_api.conftest import OURS
from tests.integration.web_security.conftest import close_code

SEED = 20261122
TRIES = 1200
PLANTED = 200
FOREIGN = 300
MINE = "1001"


def words(rng, length):
    return "".join(rng.choice(string.ascii_letters + string.digits) for _ in range(length))


async def test_guessing_gets_nobody_in_and_keeps_nobody_out(attacked):
    """N = 1200 seeded tries from 40 addresses against real and invented accounts, at the pace that the answers allow."""
    rng = random.Random(SEED)
    checked = []
    verify = attacked.deps.accounts.verify

    async def counted(username, password):
        checked.append(username)
        return await verify(username, password)

    attacked.deps.accounts.verify = counted
    names = (MINE, "supervisor", "admin", "nobody", "root")
    owner = attacked.from_address("127.0.0.77")
    assert (await attacked.log_in(owner, MINE))[0] == 200
    answers: dict[str, list[tuple[int, str]]] = {name: [] for name in names}
    addresses = [f"127.0.1.{number}" for number in range(1, 41)]
    guessers = [attacked.from_address(address) for address in addresses]
    began = attacked.clock.now()
    for number in range(TRIES):
        name = names[number % len(names)]
        # Each account is tried by each address in turn, so that real and invented ones are treated alike.
        status, said = await attacked.log_in(guessers[number // len(names) % len(guessers)], name, words(rng, 8))
        assert status in (401, 429)
        answers[name].append((status, said["error"]["id"]))
        attacked.clock.move(timedelta(seconds=rng.choice((0, 1, 5))))
    minutes = (attacked.clock.now() - began) / timedelta(minutes=1)
    # What is answered, in which order, tells nothing of which accounts there are.
    kinds = {tuple(kind for kind in answers[name]) for name in ("nobody", "root")}
    assert {error for answer in answers.values() for _, error in answer} == {"wrong_login", "too_many_attempts"}
    assert len(kinds) <= 2
    for name in names:
        tried = sum(status == 401 for status, _ in answers[name])
        # 20 for nothing, then one at each delay of 15, 30, 60, 120, 240 and 300 seconds.
        assert tried <= 20 + 6 + minutes / 5, (name, tried, minutes)
    # The owner is let in at the usual desk at once, while the account is slowed down for strangers.
    stranger = attacked.from_address("127.0.2.1")
    assert (await attacked.log_in(stranger, MINE))[0] == 429
    assert (await attacked.log_in(owner, MINE))[0] == 200
    # And for an owner at a new desk it does not take long.
    attacked.clock.move(timedelta(seconds=300))
    assert (await attacked.log_in(stranger, MINE))[0] == 200


async def test_the_same_work_is_done_for_accounts_that_there_are_and_are_not(attacked):
    """N = 400 tries: each costs one check of a hash of the same parameters, whether or not the account exists."""
    hashed = []
    hasher = attacked.deps.accounts._hasher

    class Counting:
        def verify(self, one, password):
            hashed.append(one.rsplit("$", 2)[0])
            return hasher.verify(one, password)

    attacked.deps.accounts._hasher = Counting()
    names = ["1001", "supervisor", "admin", "nobody", "1002x"]
    for number in range(400):
        name = names[number % len(names)]
        before = len(hashed)
        right = await attacked.deps.accounts.verify(name, f"wrong {number}")
        assert right is None
        assert len(hashed) == before + 1
    assert len(set(hashed)) == 1


async def test_a_stolen_device_cookie_does_not_open_the_gate(attacked):
    owner = attacked.from_address("127.0.0.77")
    assert (await attacked.log_in(owner, MINE))[0] == 200
    statuses = [(await attacked.log_in(owner, MINE, f"wrong {number}"))[0] for number in range(12)]
    assert statuses == [401] * 5 + [429] * 7
    # It is a device of this account only.
    assert (await attacked.log_in(owner, "1002", "wrong"))[0] == 401


async def test_planted_sessions_are_never_taken_up(attacked):
    """N = 200: whatever session the browser comes with, the log-in makes another, and ends the one it came with."""
    rng = random.Random(SEED)
    browser = attacked.from_address("127.0.0.1")
    status, said = await attacked.log_in(browser, "1002")
    others = said["token"]
    for number in range(PLANTED):
        planted = rng.choice(
            (words(rng, 40), others[:-2] + words(rng, 2), "", others, f"{words(rng, 20)}.{words(rng, 27)}")
        )
        browser.cookie_jar.clear()
        browser.cookie_jar.update_cookies({"cti_session": planted}, attacked.url)
        status, said = await attacked.log_in(browser, MINE)
        assert status == 200
        assert said["token"] != planted
        cookie = next(one for one in browser.cookie_jar if one.key == "cti_session")
        assert cookie.value == said["token"]
        before, _ = await attacked.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {planted}"})
        assert before.status == 401, number
        others = said["token"] if number % 2 else others


async def test_what_another_page_sends_changes_nothing(attacked):
    """N = 300 seeded requests with a valid cookie and the origin, content type and method of other pages."""
    rng = random.Random(SEED)
    cookie = {"Cookie": f"cti_session={await attacked.token('supervisor')}"}
    mine = {"Cookie": f"cti_session={await attacked.token(MINE)}"}
    paths = (
        ("POST", "/api/v1/agent/state", mine), ("POST", "/api/v1/logout", mine), ("POST", "/api/v1/account/password", mine),
        ("POST", "/api/v1/tokens", cookie), ("DELETE", "/api/v1/tokens/0123456789ab", cookie),
        ("POST", "/api/v1/account/second-factor/drop", cookie), ("POST", "/api/v1/calls/a1-1.1/priority", cookie),
        ("POST", "/api/v1/announcement", cookie), ("POST", "/api/v1/messages", cookie),
        ("POST", "/api/v1/account/sessions/end-others", cookie),
    )  # fmt: skip
    origins = (
        None, "", "null", "http://evil.example", "https://127.0.0.1:8080", "http://127.0.0.1:8081", "http://127.0.0.1",
        "http://127.0.0.1:8080.evil.example", "http://evil.example#http://127.0.0.1:8080", "http://127.0.0.1:8080/",
        "HTTP://127.0.0.1:8080", "http://127.0.0.1:08080", "http://localhost:8080@evil.example", "http://ⅼocalhost:8080",
        "http://localhost:8080, http://evil.example", "file://", "chrome-extension://abc", "http://2130706433:8080",
    )  # fmt: skip
    kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json")
    for _ in range(FOREIGN):
        method, path, who = rng.choice(paths)
        origin = rng.choice(origins)
        headers = {**who, "Content-Type": rng.choice(kinds), **({} if origin is None else {"Origin": origin})}
        answer, said = await attacked.ask(method, path, headers=headers, data=b'{"state":"ready","reason":"x"}')
        assert (answer.status, said["error"]["id"]) == (403, "wrong_origin"), (origin, path)
    assert attacked.floor.asked == []
    # And from our own page it must be JSON: no form can send that.
    for kind in kinds[:3]:
        headers = {**mine, "Origin": OURS, "Content-Type": kind}
        answer, said = await attacked.ask("POST", "/api/v1/agent/state", headers=headers, data=b'{"state":"ready"}')
        assert (answer.status, said["error"]["id"]) == (415, "unsupported_media_type")
    assert attacked.floor.asked == []


async def test_no_other_page_opens_the_feed(attacked):
    """N = 100 handshakes with a valid cookie and another page's origin."""
    rng = random.Random(SEED)
    cookie = f"cti_session={await attacked.token('supervisor')}"
    for number in range(100):
        origin = rng.choice(
            (
                "http://evil.example",
                "null",
                "https://127.0.0.1:8080",
                f"http://127.0.0.1:{8081 + number}",
                f"http://{words(rng, 8)}:8080",
            )
        )
        with pytest.raises(WSServerHandshakeError) as refused:
            await attacked.client.ws_connect("/api/v1/feed", headers={"Cookie": cookie, "Origin": origin})
        assert refused.value.status == 403
    with pytest.raises(WSServerHandshakeError) as refused:
        await attacked.client.ws_connect("/api/v1/feed", headers={"Cookie": cookie})
    assert refused.value.status == 403


async def test_cookies_over_tls_cannot_be_planted_by_other_hosts(make_attacked):
    site = await make_attacked(secure_cookies=True)
    answer, said = await site.ask("POST", "/api/v1/login", json={"username": MINE, "password": "demo"})
    for cookie in answer.headers.getall("Set-Cookie"):
        name, *parts = (part.strip() for part in cookie.split(";"))
        assert name.startswith("__Host-cti_")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"} <= set(parts)
        assert not any(part.lower().startswith("domain") for part in parts)
    # The plain name, which any page of the domain could plant, is no session here.
    answer, _ = await site.ask("GET", "/api/v1/me", headers={"Cookie": f"cti_session={said['token']}"})
    assert answer.status == 401
    answer, _ = await site.ask("GET", "/api/v1/me", headers={"Cookie": f"__Host-cti_session={said['token']}"})
    assert answer.status == 200


async def test_own_sessions_are_listed_and_ended_with_their_feeds(attacked):
    here, there = attacked.from_address("127.0.0.5"), attacked.from_address("127.0.0.6")
    await attacked.log_in(here, MINE)
    _, said = await attacked.log_in(there, MINE)
    async with here.get("/api/v1/account") as answer:
        rows = (await answer.json())["sessions"]
    assert {(row["address"], row["current"]) for row in rows} == {("127.0.0.5", True), ("127.0.0.6", False)}
    theirs = next(row["session_id"] for row in rows if not row["current"])
    feed = await attacked.client.ws_connect("/api/v1/feed", headers={"Authorization": f"Bearer {said['token']}"})
    await feed.receive_json()
    # Somebody else cannot end it, and is not told that it is there.
    answer, _ = await attacked.ask("DELETE", f"/api/v1/account/sessions/{theirs}", "admin")
    assert answer.status == 404
    async with here.delete(f"/api/v1/account/sessions/{theirs}", headers={"Origin": OURS}) as answer:
        assert answer.status == 200
    assert await close_code(feed) == 4401
    async with there.get("/api/v1/me") as answer:
        assert answer.status == 401
    async with here.get("/api/v1/me") as answer:
        assert answer.status == 200


async def test_a_changed_password_ends_every_other_log_in(attacked):
    here = attacked.from_address("127.0.0.5")
    await attacked.log_in(here, MINE)
    _, elsewhere = await attacked.log_in(attacked.from_address("127.0.0.4"), MINE)
    before = next(one.value for one in here.cookie_jar if one.key == "cti_session")

    async def change(**body):
        async with here.post("/api/v1/account/password", json=body, headers={"Origin": OURS}) as answer:
            return answer.status, await answer.json()

    assert (await change(password="wrong", new_password="quite another one"))[0] == 403
    assert (await change(password="demo", new_password="short"))[0] == 400
    assert (await change(password="demo", new_password="quite another one"))[0] == 200
    for token in (before, elsewhere["token"]):
        answer, _ = await attacked.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 401
    async with here.get("/api/v1/me") as answer:
        assert answer.status == 200
    assert next(one.value for one in here.cookie_jar if one.key == "cti_session") != before
    assert (await attacked.log_in(here, MINE, "quite another one"))[0] == 200
    stranger = attacked.from_address("127.0.0.9")
    assert (await attacked.log_in(stranger, MINE, "demo"))[0] == 401


async def test_a_page_whose_account_is_gone_is_told_within_seconds(attacked):
    feed = await attacked.feed(MINE)
    await feed.receive_json()
    del attacked.deps.accounts._accounts[MINE]
    assert await close_code(feed) == 4401


async def test_a_try_that_nobody_had_time_for_is_not_a_wrong_one(attacked, monkeypatch):
    """N = 40 tries, of which more than a few wrong ones would make the account wait."""

    async def busy(username, password):
        raise TooBusy

    browser = attacked.from_address("127.0.0.5")
    assert (await attacked.log_in(browser, "1001"))[0] == 200
    monkeypatch.setattr(attacked.deps.accounts, "verify", busy)
    other = attacked.from_address("127.0.0.6")
    change = {"password": "demo", "new_password": "quite another one"}
    for _ in range(20):
        assert (await attacked.log_in(other, "1002"))[0] == 503
        async with browser.post("/api/v1/account/password", json=change, headers={"Origin": OURS}) as answer:
            assert answer.status == 503, await answer.text()
    monkeypatch.undo()
    assert (await attacked.log_in(other, "1002"))[0] == 200
    assert (await attacked.log_in(browser, "1001"))[0] == 200
