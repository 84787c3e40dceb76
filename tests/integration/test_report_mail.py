"""Scheduled reports through a real mail server: once each over restarts, tried again, shown when they fail, encrypted."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import date, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from cti.quality.rows import TeamSummary
from cti.report_office.office import ReportOffice
from cti.services.report_desk import DeskRefused, FileFormat, MailState, Rhythm, Schedule, ScheduleWish
from cti.settings import Mail
from cti.store.pool import open_pool
from cti.store.report_shelf import ReportShelf
from tests.support.fake_floor import StandingClock
from tests.support.fake_reports import FakeReports
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.report_house import NOW, report_centre
from tests.unit.report_office.test_team_day import DAY

pytestmark = [pytest.mark.real, pytest.mark.beside]

SEARCH = "view=queues&period=yesterday&by=queue&metrics=offered,answered,service_level"


class Post:
    """What a mail server got; `refuse` and `hang` make it difficult."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.refuse: dict[str, str] = {}
        self.data_answer = "250 OK"
        self.hang = asyncio.Event()
        self.began = asyncio.Event()
        self.hang.set()
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        self.began.set()
        await self.hang.wait()
        if self.data_answer.startswith("250"):
            self.mails.append(envelope)
        return self.data_answer

    def authenticator(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cret", handled=False)


@contextlib.asynccontextmanager
async def mail_server(post: Post, port: int = 0, **options: Any) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(post, loop=loop, hostname="mail.test", **options), "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class House:
    """A centre whose bridge may be started again and again over one database."""

    def __init__(self, dsn: str, mail: Mail) -> None:
        self.dsn = dsn
        self.mail = mail
        self.clock = StandingClock(NOW)
        self.reports = FakeReports(report_centre(), NOW, days=3, busy=4.0)

    async def team_day(self, day: date, team: str, queues: Collection[str] | None) -> TeamSummary:
        """What quality says of a day."""
        assert queues is None
        return dataclasses.replace(DAY, day=day, team=team)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ReportOffice]:
        pool = await open_pool(self.dsn)
        office = ReportOffice(
            self.reports, ReportShelf(pool), centre=lambda: self.reports.centre, mail=self.mail, clock=self.clock,
            team_day=self.team_day,
        )  # fmt: skip
        work = asyncio.create_task(office.run())
        try:
            yield office
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            await pool.close()


def wish(
    report_id: int, to: tuple[str, ...] = ("ops@example.com",), *, format: FileFormat = FileFormat.CSV
) -> ScheduleWish:
    return ScheduleWish(
        report_id=report_id, rhythm=Rhythm.DAILY, day=1, at="07:30", format=format, language="zh", to=to, active=True
    )


async def until(asked: Callable[[], Awaitable[Any]], why: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := await asked():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(why)


async def came_of(office: ReportOffice, state: MailState, says: str = "", *, mails: int = 1, **fits: Any) -> Schedule:
    async def look() -> Schedule | None:
        (one,) = await office.schedules()
        good = [
            mail
            for mail in one.deliveries
            if mail.state is state and says in mail.trouble and all(getattr(mail, k) == v for k, v in fits.items())
        ]
        return one if len(good) >= mails else None

    found: Schedule = await until(look, f"no mail became {state}")
    return found


def plain(port: int, **more: Any) -> Mail:
    return Mail(host="127.0.0.1", port=port, security="none", sender="reports@centre.test", **more)


async def test_each_is_sent_once_over_restarts_and_what_was_missed_is_made_up_for(migrated: str) -> None:  # noqa: F811
    post = Post()
    async with mail_server(post) as port:
        house = House(migrated, plain(port))
        async with house.running() as office:
            kept = await office.save("supervisor", "晨会", SEARCH, shared=True)
            made = await office.schedule(
                "supervisor", wish(kept.report_id, ("ops@example.com", "lin@example.com"), format=FileFormat.PDF)
            )
            assert made.next_at == datetime.fromisoformat("2026-03-05T12:30:00+00:00")  # 07:30 in New York
            await asyncio.sleep(0)
            assert post.mails == []
        for _ in range(3):  # the bridge is started again and again after the mail was due
            house.clock.at = NOW + timedelta(days=1)
            async with house.running() as office:
                one = await came_of(office, MailState.SENT)
        assert len(post.mails) == 1
        assert len(one.deliveries) == 1
        message = message_from_bytes(post.mails[0].original_content or b"", policy=policy.default)
        assert post.mails[0].rcpt_tos == ["ops@example.com", "lin@example.com"]
        assert message["Subject"] == "晨会 – 2026-03-04 周三"  # yesterday, as of when it was due
        assert message["Auto-Submitted"] == "auto-generated"
        (attached,) = message.iter_attachments()
        assert attached.get_content_type() == "application/pdf"
        assert attached.get_content().startswith(b"%PDF-")
        house.clock.at = NOW + timedelta(days=4)  # three mornings nobody was there
        async with house.running() as office:
            await came_of(office, MailState.SENT, mails=4)
        subjects = [
            message_from_bytes(mail.original_content or b"", policy=policy.default)["Subject"] for mail in post.mails
        ]
        assert [subject[5:15] for subject in subjects] == ["2026-03-04", "2026-03-05", "2026-03-06", "2026-03-07"]
        identities = {message_from_bytes(mail.original_content or b"")["Message-ID"] for mail in post.mails}
        assert len(identities) == 4


async def test_a_teams_day_is_mailed_too(migrated: str) -> None:  # noqa: F811
    post = Post()
    async with mail_server(post) as port:
        house = House(migrated, plain(port))
        async with house.running() as office:
            kept = await office.save("supervisor", "Red", "view=team_day&period=yesterday&team=red", shared=True)
            made = await office.schedule("supervisor", wish(kept.report_id))
            await office.send_now(made.schedule_id)
            await came_of(office, MailState.SENT)
    message = message_from_bytes(post.mails[0].original_content or b"", policy=policy.default)
    assert message["Subject"] == "Red – 2026-03-03 周二"
    body, attached = message.get_body(), next(message.iter_attachments())
    assert body is not None
    assert "Calm and quick" in body.get_content()
    assert (attached.get_filename(), attached.get_content_type()) == ("team_day-2026-03-03.csv", "text/csv")


async def test_failures_are_shown_and_tried_again(migrated: str) -> None:  # noqa: F811
    post = Post()
    async with mail_server(post) as port:
        pass  # nobody listens there now
    house = House(migrated, plain(port, domains=("example.com",)))
    async with house.running() as office:
        kept = await office.save("supervisor", "Morning", SEARCH, shared=False)
        for wrong in (
            "nobody",
            "a@b@example.com",
            "x@elsewhere.net",
            "a@example.com\nBcc: b@example.com",
            "<a@example.com>",
        ):
            with pytest.raises(DeskRefused) as refused:
                await office.schedule("supervisor", wish(kept.report_id, (wrong,)))
            assert refused.value.error_id == "bad_address"
        made = await office.schedule("supervisor", wish(kept.report_id, ("ops@example.com", "gone@example.com")))
        await office.send_now(made.schedule_id)
        shown = await came_of(office, MailState.DUE, "cannot be reached", attempts=1)
        assert shown.deliveries[0].next_at == NOW + timedelta(minutes=1)
        house.reports.away = True  # then the database is away while the report is made
        house.clock.at = NOW + timedelta(minutes=2)
        office._look()
        await came_of(office, MailState.DUE, "database", attempts=2)
        house.reports.away = False
        post.refuse["gone@example.com"] = "550 no such user"
        async with mail_server(post, port):
            house.clock.at = NOW + timedelta(minutes=10)
            office._look()
            await came_of(office, MailState.SENT, "gone@example.com: 550", attempts=3)
            assert post.mails[0].rcpt_tos == ["ops@example.com"]
            post.refuse["ops@example.com"] = "550 no such user"  # nobody takes it: there is no use in trying again
            house.clock.at = NOW + timedelta(minutes=11)
            await office.send_now(made.schedule_id)
            await came_of(office, MailState.FAILED, "550")
            post.refuse.clear()
            post.data_answer = "451 later"
            house.clock.at = NOW + timedelta(minutes=12)
            await office.send_now(made.schedule_id)
            await came_of(office, MailState.DUE, "451", attempts=1)
    assert len(post.mails) == 1


async def test_a_bridge_killed_while_the_mail_goes_out_does_not_send_it_twice(migrated: str) -> None:  # noqa: F811
    post = Post()
    async with mail_server(post) as port:
        house = House(migrated, plain(port))
        async with house.running() as office:
            kept = await office.save("supervisor", "Morning", SEARCH, shared=False)
            made = await office.schedule("supervisor", wish(kept.report_id))
            post.hang.clear()
            await office.send_now(made.schedule_id)
            async with asyncio.timeout(60):
                await post.began.wait()
            (one,) = await office.schedules()
            assert one.deliveries[0].state is MailState.SENDING
            # The server takes it after the bridge has gone, which nobody will ever know.
            asyncio.get_running_loop().call_later(0.3, post.hang.set)
        async with house.running() as office:
            await came_of(office, MailState.UNKNOWN, "stopped while the mail went out")
            house.clock.at = NOW + timedelta(hours=5)
            office._look()
            await asyncio.sleep(0.3)
            assert len(post.mails) == 1


async def test_encrypted_with_a_password_out_of_a_file(migrated: str, tmp_path: Path) -> None:  # noqa: F811
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    await asyncio.to_thread(
        subprocess.run,
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    post = Post()
    options = {
        "tls_context": context,
        "require_starttls": True,
        "authenticator": post.authenticator,
        "auth_required": True,
    }
    async with mail_server(post, **options) as port:
        good = Mail(
            host="127.0.0.1",
            port=port,
            sender="reports@centre.test",
            username="reports",
            password_file=password,
            ca_file=certificate,
        )
        house = House(migrated, good.model_copy(update={"ca_file": None}))
        async with house.running() as office:
            kept = await office.save("supervisor", "Morning", SEARCH, shared=False)
            made = await office.schedule("supervisor", wish(kept.report_id))
            await office.send_now(made.schedule_id)
            await came_of(office, MailState.DUE, "certificate verify failed", attempts=1)
            assert post.logins == []  # no password went to a server that nobody vouches for
        house.mail = good
        house.clock.at = NOW + timedelta(minutes=2)
        password.write_text("wrong")
        async with house.running() as office:
            shown = await came_of(office, MailState.DUE, "535", attempts=2)
            assert "wrong" not in shown.deliveries[0].trouble
            password.write_text("s3cret\n")  # mended while it runs
            house.clock.at = NOW + timedelta(minutes=20)
            office._look()
            await came_of(office, MailState.SENT, attempts=3)
        assert post.logins[-1] == (b"reports", b"s3cret")
        assert len(post.mails) == 1


async def test_without_a_mail_server_nothing_is_sent_and_it_says_so(migrated: str) -> None:  # noqa: F811
    house = House(migrated, Mail())
    async with house.running() as office:
        assert not office.mails()
        kept = await office.save("supervisor", "Morning", SEARCH, shared=False)
        made = await office.schedule("supervisor", wish(kept.report_id))
        with pytest.raises(DeskRefused) as refused:
            await office.send_now(made.schedule_id)
        assert refused.value.error_id == "no_mail"
