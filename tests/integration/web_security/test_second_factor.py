"""The second factor: its codes, their replay, drift, recovery codes, and the roles that need one."""

from __future__ import annotations

import asyncio
import base64
import random
from datetime import UTC, datetime, timedelta

import pytest

from cti.settings import Access
from cti.web.app import OPERATIONS
from cti.web.auth.access_file import code_at, step_of
from cti.web.auth.permissions import PERMISSIONS
from tests.integration.web_api.conftest import OURS
from tests.integration.web_api.test_web_routes import concrete

SEED = 7
WHO = "supervisor"
RFC_SEED = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "digits"),
    [
        (59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"),
        (2000000000, "69279037"), (20000000000, "65353130"),
    ],
)  # fmt: skip
def test_codes_are_those_of_the_standard(seconds, digits):
    """The vectors of RFC 6238, appendix B (SHA-1); ours have the last six of their eight digits."""
    assert code_at(RFC_SEED, step_of(datetime.fromtimestamp(seconds, UTC))) == digits[-6:]


def shown(site, seed, steps=0):
    return code_at(seed, step_of(site.clock.now()) + steps)


async def enrolled(site, browser, who=WHO):
    status, _ = await site.log_in(browser, who)
    assert status == 200
    headers = {"Origin": OURS}
    async with browser.post("/api/v1/account/second-factor", json={"password": "demo"}, headers=headers) as answer:
        said = await answer.json()
        assert answer.status == 200, said
    seed = said["seed"]
    assert f"secret={seed}" in said["address"]
    assert said["picture"].startswith("data:image/svg+xml")
    wrong = {"code": "000000" if shown(site, seed) != "000000" else "111111"}
    async with browser.post("/api/v1/account/second-factor/confirm", json=wrong, headers=headers) as answer:
        assert answer.status == 409
    body = {"code": shown(site, seed)}
    async with browser.post("/api/v1/account/second-factor/confirm", json=body, headers=headers) as answer:
        codes = (await answer.json())["codes"]
    assert len(set(codes)) == 10
    site.clock.move(timedelta(seconds=60))
    return seed, codes


async def test_a_password_alone_does_not_open_any_more(attacked, make_attacked):
    browser = attacked.from_address("127.0.0.5")
    old = (await attacked.log_in(attacked.from_address("127.0.0.4"), WHO))[1]["token"]
    seed, _ = await enrolled(attacked, browser)
    # What was open by the password alone is over; the browser that set it up goes on with a session of its own.
    answer, _ = await attacked.ask("GET", "/api/v1/me", headers={"Authorization": f"Bearer {old}"})
    assert answer.status == 401
    async with browser.get("/api/v1/account") as answer:
        said = await answer.json()
    assert (said["second_factor"], said["recovery_codes_left"], len(said["sessions"])) == (True, 10, 1)
    stranger = attacked.from_address("127.0.0.6")
    assert (await attacked.log_in(stranger, WHO))[1]["error"]["id"] == "code_needed"
    # Whoever does not know the password is not told that there is a second factor.
    assert (await attacked.log_in(stranger, WHO, "wrong"))[1]["error"]["id"] == "wrong_login"
    assert (await attacked.log_in(stranger, WHO, "wrong", code=shown(attacked, seed)))[1]["error"][
        "id"
    ] == "wrong_login"
    assert (await attacked.log_in(stranger, WHO, code=shown(attacked, seed)))[0] == 200
    # It outlives a restart, with the step that was used.
    restarted = await make_attacked(clock=attacked.clock)
    other = restarted.from_address("127.0.0.7")
    assert (await restarted.log_in(other, WHO, code=shown(attacked, seed)))[1]["error"]["id"] == "wrong_code"
    restarted.clock.move(timedelta(seconds=30))
    assert (await restarted.log_in(other, WHO, code=shown(attacked, seed)))[0] == 200
    file = attacked.deps.revoked_file.with_name("access.json")
    assert file.stat().st_mode & 0o777 == 0o600


async def test_each_code_opens_once_and_one_step_of_drift_is_taken(attacked):
    seed, _ = await enrolled(attacked, attacked.from_address("127.0.0.5"))
    browser = attacked.from_address("127.0.0.6")
    for steps, opens in (
        (-2, False),
        (2, False),
        (-1, True),
        (-1, False),
        (0, True),
        (0, False),
        (-1, False),
        (1, True),
        (0, False),
        (1, False),
    ):
        status, said = await attacked.log_in(browser, WHO, code=shown(attacked, seed, steps))
        assert (status == 200) == opens, (steps, said)
    attacked.clock.move(timedelta(seconds=90))
    code = shown(attacked, seed)
    both = await asyncio.gather(
        *(attacked.log_in(attacked.from_address(f"127.0.1.{n}"), WHO, code=code) for n in range(1, 9))
    )
    assert sorted(status for status, _ in both) == [200] + [401] * 7


async def test_codes_are_not_guessed(attacked):
    """N = 1000 seeded codes with the right password, at the pace that the answers allow: none opens."""
    seed, _ = await enrolled(attacked, attacked.from_address("127.0.0.5"))
    rng = random.Random(SEED)
    browsers = [attacked.from_address(f"127.0.1.{number}") for number in range(1, 21)]
    tried = 0
    for number in range(1000):
        now = {shown(attacked, seed, steps) for steps in (-1, 0, 1)}
        guess = next(code for code in iter(lambda: f"{rng.randrange(10**6):06}", None) if code not in now)
        status, _ = await attacked.log_in(browsers[number % 20], WHO, code=guess)
        assert status in (401, 429)
        tried += status == 401
        attacked.clock.move(timedelta(seconds=1))
    assert tried <= 20 + 6 + 1000 / 300


async def test_a_recovery_code_opens_once_however_it_is_typed(attacked):
    seed, codes = await enrolled(attacked, attacked.from_address("127.0.0.5"))
    browser = attacked.from_address("127.0.0.6")
    assert (await attacked.log_in(browser, WHO, code=codes[3].upper().replace("-", " ")))[0] == 200
    assert (await attacked.log_in(browser, WHO, code=codes[3]))[1]["error"]["id"] == "wrong_code"
    assert (await attacked.log_in(browser, WHO, code=codes[4]))[0] == 200
    headers = {"Origin": OURS}
    body = {"password": "demo", "code": shown(attacked, seed)}
    async with browser.post("/api/v1/account/second-factor/recovery-codes", json=body, headers=headers) as answer:
        fresh = (await answer.json())["codes"]
    assert not set(fresh) & set(codes)
    assert (await attacked.log_in(browser, WHO, code=codes[5]))[0] == 401
    assert (await attacked.log_in(browser, WHO, code=fresh[0]))[0] == 200
    text = attacked.deps.revoked_file.with_name("access.json").read_text()
    assert not any(code.replace("-", "") in text for code in (*codes, *fresh))
    assert text.count("$argon2id$") == 9


async def test_a_role_that_needs_one_can_do_nothing_else_before(make_attacked):
    site = await make_attacked(access=Access(second_factor=("admin",)))
    browser = site.from_address("127.0.0.5")
    _, said = await site.log_in(browser, "admin")
    assert said["must_enrol"]
    asked = 0
    for operation in OPERATIONS:
        roles = PERMISSIONS[operation.name]
        if roles is None or "admin" not in roles:
            continue
        async with browser.request(operation.method, concrete(operation), headers={"Origin": OURS}) as answer:
            refused = answer.status == 403 and (await answer.json())["error"]["id"] == "second_factor_required"
        allowed = operation.name in (
            "me",
            "logout",
            "account",
            "second_factor_begin",
            "second_factor_confirm",
            "password_change",
        )
        assert refused != allowed, operation.name
        asked += 1
        if operation.name == "logout":
            await site.log_in(browser, "admin")
    assert asked > 60
    await enrolled(site, browser, "admin")
    async with browser.get("/api/v1/state") as answer:
        assert answer.status == 200
    async with browser.get("/api/v1/me") as answer:
        assert not (await answer.json())["must_enrol"]
    # It cannot be given up, and an agent needs none.
    async with browser.post("/api/v1/account/second-factor/drop", json={}, headers={"Origin": OURS}) as answer:
        assert (answer.status, (await answer.json())["error"]["id"]) == (409, "second_factor_required")
    assert not (await site.log_in(site.from_address("127.0.0.6"), "1001"))[1]["must_enrol"]


async def test_who_lost_the_telephone_is_helped_by_an_administrator_only(attacked):
    browser = attacked.from_address("127.0.0.5")
    await enrolled(attacked, browser)
    for who, status in (("1001", 403), (WHO, 403), ("1002", 403)):
        if who != WHO:
            answer, _ = await attacked.ask("POST", f"/api/v1/accounts/{WHO}/second-factor/reset", who)
            assert answer.status == status
    answer, _ = await attacked.ask("POST", f"/api/v1/accounts/{WHO}/second-factor/reset", "admin")
    assert answer.status == 200
    async with browser.get("/api/v1/me") as answer:
        assert answer.status == 401
    assert (await attacked.log_in(browser, WHO))[0] == 200


@pytest.mark.parametrize("content", ["{", '{"second_factors":[]}', '{"tokens":{"x":{}}}'])
async def test_a_broken_file_lets_nobody_in_without_the_second_factor(make_attacked, tmp_path, content):
    from cti.errors import ConfigError

    file = tmp_path / "secrets" / "access.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError):
        await make_attacked()
    file.write_text("{}")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        await make_attacked()
