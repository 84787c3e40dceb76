"""What pages are given to sign on by, and that it ends with the log-in: the web's part, over secrets that are made up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from cti.errors import RemoteError
from cti.services.phone_secrets import LinesBusy, PageLogin, SecretsStand, VisitorLine
from cti.web.deps import DEPS
from cti.web.phone_logins import look_after_phones


class MadeUpSecrets:
    """Counts what it gives."""

    def __init__(self) -> None:
        self.given: list[tuple[str, PageLogin]] = []
        self.over: list[str] = []
        self.visitors: list[str] = []
        self.fault: Exception | None = None

    async def for_page(self, account: str, login: PageLogin) -> str:
        if self.fault is not None:
            raise self.fault
        self.given.append((account, login))
        return f"secret-{len(self.given)}"

    async def for_visitor(self, address: str) -> VisitorLine:
        if self.fault is not None:
            raise self.fault
        self.visitors.append(address)
        return VisitorLine(account="webcall-02", secret=f"visit-{len(self.visitors)}", until=0)

    def ended(self, nonce: str) -> None:
        self.over.append(nonce)

    def look(self, holds: Callable[[PageLogin], bool]) -> None:
        self.over += [login.nonce for _, login in self.given if not holds(login)]


@pytest.fixture
async def secrets() -> MadeUpSecrets:
    return MadeUpSecrets()


@pytest.fixture
async def site(make_site, secrets):
    return await make_site(phone_secrets=secrets)


async def test_each_page_has_a_fresh_one_of_its_log_in_and_logging_out_ends_it(site, secrets):
    _, first = await site.ask("GET", "/api/v1/agent/phone", "1002")
    _, second = await site.ask("GET", "/api/v1/agent/phone", "1002")
    assert (first["username"], first["password"], second["password"]) == ("1002-web", "secret-1", "secret-2")
    assert first["sip"]["password"] == "sip-1002"
    (account, one), (_, two) = secrets.given
    assert (account, one.username) == ("1002-web", "1002")
    assert one == two
    look_after_phones(site.client.app)
    assert secrets.over == []
    await site.ask("POST", "/api/v1/logout", "1002")
    assert secrets.over == [one.nonce]
    look_after_phones(site.client.app)
    assert set(secrets.over) == {one.nonce}
    assert len(secrets.over) > 1


async def test_it_ends_with_a_log_in_that_is_idle(site, secrets):
    await site.ask("GET", "/api/v1/agent/phone", "1002")
    site.clock.move(timedelta(minutes=59))
    look_after_phones(site.client.app)
    assert secrets.over == []
    site.clock.move(timedelta(minutes=2))  # looking does not count as using it
    look_after_phones(site.client.app)
    assert secrets.over == [secrets.given[0][1].nonce]


async def test_a_visitor_has_a_line_or_is_told_when_to_come_again(site, secrets):
    answer, said = await site.ask("POST", "/api/v1/webcall")
    assert (said["uri"], said["username"], said["password"]) == ("sip:webcall-02@127.0.0.1", "webcall-02", "visit-1")
    assert answer.headers["Cache-Control"] == "no-store"
    secrets.fault = LinesBusy(20, 30)
    answer, said = await site.ask("POST", "/api/v1/webcall")
    assert (answer.status, said["error"]["id"], answer.headers["Retry-After"]) == (503, "lines_busy", "30")
    assert "sip.webcall_lines" in said["error"]["remedy"]
    secrets.fault = RemoteError("the telephone system cannot be reached", remedy="try again in a moment")
    for method, path, user in (("POST", "/api/v1/webcall", None), ("GET", "/api/v1/agent/phone", "1002")):
        answer, said = await site.ask(method, path, user)
        assert (answer.status, said["error"]["id"]) == (503, "remote_failed")
        assert said["error"]["remedy"] == "try again in a moment"


async def test_where_asterisk_was_started_before_passwords_stand(site, secrets):
    passwords = site.client.app[DEPS].phone.passwords
    secrets.fault = SecretsStand("1002-web")
    _, said = await site.ask("GET", "/api/v1/agent/phone", "1002")
    assert (said["username"], said["password"]) == ("1002-web", passwords["1002-web"])
    _, said = await site.ask("POST", "/api/v1/webcall")
    assert (said["username"], said["password"]) == ("webcall", passwords["webcall"])
