"""`cti doctor`: right on a centre that is well, on one that is not there, and on one with something wrong; changes nothing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from cti.centre_file import load_centre
from cti.doctor import examination as doctor
from cti.doctor import examine
from cti.doctor.findings import Finding, Seen
from cti.doctor.live_asterisk import ACTIONS, CONTEXTS, examine_asterisk
from cti.places import DEMO_CENTRE, Places
from cti.secrets_file import endpoints, load_or_make, secrets_path
from cti.services.phone_secrets import line_names
from cti.settings import Settings, load_settings
from tests.support.ami_server import Action, Connection, FakeAmi
from tests.support.centre import free_offset


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("CTI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(doctor, "find_asterisk", lambda _settings: (None, ""))
    return load_settings(environ={}, overrides={"data": str(tmp_path / "data"), "ports.offset": free_offset()})


@pytest.fixture
def made(settings: Settings) -> Settings:
    """A data folder as `cti up` leaves it."""
    places = Places(settings)
    places.make()
    places.centre.write_text(DEMO_CENTRE.read_text(encoding="utf-8"), encoding="utf-8")
    load_or_make(settings.data, load_centre(places.centre))
    return settings


def about(findings: list[Finding], subject: str) -> list[Finding]:
    return [finding for finding in findings if finding.subject == subject]


def bad(findings: list[Finding]) -> list[str]:
    return [f"{finding.subject}: {finding.finding}" for finding in findings if finding.grade == "bad"]


def everything_in(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in folder.rglob("*")}


async def test_a_centre_that_may_dial_out_and_has_nowhere_to(made: Settings) -> None:
    (finding,) = about(await examine(made), "trunk")
    assert (finding.grade, finding.remedy) == ("note", "set trunk.address")
    told = made.model_copy(update={"trunk": made.trunk.model_copy(update={"address": "192.0.2.7"})})
    assert about(await examine(told), "trunk") == []


async def test_an_empty_folder_has_nothing_to_mend_and_stays_empty(settings: Settings, tmp_path: Path) -> None:
    findings = await examine(settings)
    assert bad(findings) == []
    assert about(findings, "bridge")[0].grade == "note"
    assert list(tmp_path.iterdir()) == []


async def test_a_centre_that_does_not_run(made: Settings) -> None:
    before = everything_in(made.data)
    findings = await examine(made)
    assert bad(findings) == []
    assert about(findings, "ports")[0].finding == "free"
    assert about(findings, "centre file")[0].grade == "ok"
    assert about(findings, "secrets")[0].grade == "ok"
    assert everything_in(made.data) == before


async def test_every_note_and_every_fault_says_what_to_do(settings: Settings, made: Settings) -> None:
    secrets_path(made.data).chmod(0o644)
    Places(made).centre.write_text("name: x\n")
    for finding in await examine(settings):
        assert (
            finding.grade == "ok"
            or finding.remedy
            or "not asked" in finding.finding
            or "not checked" in finding.finding
        )


async def test_secrets_are_never_told(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = load_or_make(made.data, load_centre(Places(made).centre))
    own = made.model_copy(update={"database": type(made.database)(url="postgresql://me:s3cr3t@127.0.0.1:1/cti")})
    odd = made.model_copy(update={"database": type(made.database)(url="postgresql://me:pa/ss@127.0.0.1/cti")})
    told = repr([await examine(own), await examine(odd)])
    for word in (
        secrets.ami,
        secrets.session_key,
        *secrets.sip.values(),
        *secrets.logins.values(),
        "s3cr3t",
        "pa/ss",
        "'pa'",
    ):
        assert word not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: x\n", "queues: this key is missing"),
        (DEMO_CENTRE.read_text(encoding="utf-8").replace("flow: vip_desk", "flow: nowhere"), 'the flow "nowhere"'),
        (
            DEMO_CENTRE.read_text(encoding="utf-8").replace("  sales:\n", "  selling:\n").replace("sales", "selling"),
            'there is no queue "sales"',
        ),
    ],
)
async def test_a_centre_file_that_does_not_fit(made: Settings, text: str, told: str) -> None:
    Places(made).centre.write_text(text, encoding="utf-8")
    assert told in "\n".join(bad(await examine(made)))


async def test_files_that_others_can_read(made: Settings) -> None:
    path = secrets_path(made.data)
    path.chmod(0o640)
    (told,) = about(await examine(made), "secrets")
    assert (told.grade, told.remedy) == ("bad", f"chmod 600 {path}")
    path.chmod(0o600)
    path.parent.chmod(0o755)
    accounts = Places(made).accounts
    accounts.write_text("[]")
    accounts.chmod(0o644)
    remedies = {finding.remedy for finding in about(await examine(made), "secrets")}
    assert {f"chmod 700 {path.parent}", f"chmod 600 {accounts}"} <= remedies


async def test_new_agents_without_passwords(made: Settings) -> None:
    places = Places(made)
    places.centre.write_text(places.centre.read_text() + '  "1099": {name: New, queues: [support]}\n')
    (told,) = about(await examine(made), "secrets")
    assert told.grade == "note"
    assert "1099, 1099-web" in told.finding


async def test_a_variable_that_means_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTI_NODES", "b1")
    (told,) = about(await examine(settings), "settings")
    assert told.grade == "note"
    assert "CTI_NODES" in told.finding


async def test_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_SPACE", 1 << 62)
    assert about(await examine(settings), "data folder")[0].grade == "bad"


async def test_a_ledger_of_other_columns(made: Settings) -> None:
    ledger = Places(made).ledger
    ledger.parent.mkdir(parents=True)
    ledger.write_text('"CHAN_START","not a time"\n' * 3)
    (told,) = about(await examine(made), "ledger")
    assert told.grade == "bad"
    assert "3 of the last lines" in told.finding


async def test_ports_used_by_others(made: Settings) -> None:
    with socket.create_server(("127.0.0.1", made.ports.of("agi"))):
        (told,) = about(await examine(made), "ports")
    assert told.grade == "bad"
    assert f"{made.ports.of('agi')} (ports.agi)" in told.finding


async def test_a_database_that_does_not_answer(made: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me:x@127.0.0.1:{silent.getsockname()[1]}/cti"
        own = made.model_copy(update={"database": type(made.database)(url=url)})
        async with asyncio.timeout(60):
            (told,) = about(await examine(own), "database")
    assert told.grade == "bad"
    assert "does not answer" in told.finding


# ---- with a bridge, or what looks like one


@pytest.fixture
async def answering(settings: Settings) -> AsyncIterator[dict[str, object]]:
    """Something that answers /readyz at the web port."""
    parts: dict[str, object] = {"asterisk": {"ok": True, "needed": True, "detail": ""}}

    async def readyz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ready", "parts": parts})

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", settings.ports.of("web")).start()
    yield parts
    await runner.cleanup()


@pytest.fixture
def bridge_lock(made: Settings) -> Iterator[None]:
    """The lock a bridge holds while it runs."""
    descriptor = os.open(Places(made).journal / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


@pytest.mark.usefixtures("answering", "bridge_lock")
async def test_a_bridge_that_runs(made: Settings) -> None:
    with socket.create_server(("127.0.0.1", made.ports.of("agi"))):
        findings = await examine(made)
    (told,) = about(findings, "bridge")
    assert (told.grade, told.finding) == ("ok", f"ready (process {os.getpid()})")
    assert about(findings, "ports")[0].grade == "ok"
    assert about(findings, "manager interface")[0].grade == "bad", "a bridge without Asterisk serves nobody"


@pytest.mark.usefixtures("answering", "bridge_lock")
async def test_a_bridge_without_its_agi_port(made: Settings) -> None:
    (told,) = about(await examine(made), "ports")
    assert told.grade == "bad"
    assert "survival" in told.finding


@pytest.mark.usefixtures("bridge_lock")
async def test_parts_that_are_not_well(made: Settings, answering: dict[str, object]) -> None:
    answering["database"] = {"ok": False, "needed": False, "detail": "gone since noon"}
    findings = await examine(made)
    (told,) = about(findings, "bridge, database")
    assert (told.grade, told.finding) == ("note", "gone since noon")


@pytest.mark.usefixtures("bridge_lock")
async def test_a_bridge_that_does_not_answer(made: Settings) -> None:
    (told,) = about(await examine(made), "bridge")
    assert told.grade == "bad"
    assert "does not answer" in told.finding


@pytest.mark.usefixtures("answering")
async def test_the_bridge_of_another_centre(made: Settings) -> None:
    (told,) = about(await examine(made), "bridge")
    assert told.grade == "bad"
    assert "another centre" in told.finding
    assert "CTI_PORTS__OFFSET" in told.remedy


# ---- with an Asterisk


@pytest.fixture
async def asterisk(made: Settings) -> AsyncIterator[FakeAmi]:
    """An Asterisk that has all that the demo centre needs."""
    centre = load_centre(Places(made).centre)
    fake = FakeAmi(secret=load_or_make(made.data, centre).ami)
    fake.on("CoreSettings", lambda c, a: c.answer(a, AsteriskVersion="22.10.1", SystemName=made.node))
    fake.on("ListCommands", lambda c, a: c.answer(a, **dict.fromkeys(ACTIONS, "yes")))

    def dialplan(connection: Connection, action: Action) -> None:
        if action["Context"] not in CONTEXTS:
            connection.answer(action, Response="Error", Message=f"Did not find context {action['Context']}")
            return
        numbers = centre.numbers if action["Context"] == "cti-inbound" else ("s",)
        connection.list_of(action, [f"Event: ListDialplan\r\nExtension: {n}\r\n".encode() for n in numbers])

    def accounts(connection: Connection, action: Action) -> None:
        names = [*endpoints(centre), *line_names(made.sip.webcall_lines), "trunk"]
        connection.list_of(action, [f"Event: EndpointList\r\nObjectName: {n}\r\n".encode() for n in names])

    fake.on("ShowDialPlan", dialplan)
    fake.on("PJSIPShowEndpoints", accounts)
    async with fake:
        yield fake


def _at(settings: Settings, fake: FakeAmi) -> Settings:
    ports = settings.ports.model_copy(update={"ami": fake.port - settings.ports.offset})
    return settings.model_copy(update={"ports": ports})


async def test_an_asterisk_that_has_all(made: Settings, asterisk: FakeAmi) -> None:
    findings = await examine(_at(made, asterisk))
    assert bad(findings) == []
    assert about(findings, "dialplan")[0].grade == "ok"
    assert about(findings, "manager account")[0].grade == "ok"
    written = {action["Action"] for action in asterisk.actions}
    assert written <= {"Login", "Ping", "CoreSettings", "ListCommands", "ShowDialPlan", "PJSIPShowEndpoints"}


@pytest.mark.parametrize(
    ("account", "told"),
    [("webcall-01", "secrets that end"), ("", "none can sign on"), ("webcall", "standing passwords")],
)
async def test_whether_telephones_in_pages_are_let_in(
    made: Settings, asterisk: FakeAmi, account: str, told: str
) -> None:
    """An Asterisk of one's own may lack the lines of sorcery.conf that the bridge's secrets need, or have others still."""

    def parts(wanted: str) -> list[bytes]:
        there = [b"Event: EndpointDetail\r\nObjectName: %b\r\n" % wanted.encode()]
        return there + [b"Event: AuthDetail\r\nObjectName: %b\r\n" % wanted.encode()] * (wanted == account)

    asterisk.on("PJSIPShowEndpoint", lambda connection, action: connection.list_of(action, parts(action["Endpoint"])))
    settings, places = _at(made, asterisk), Places(made)
    secret = load_or_make(made.data, load_centre(places.centre)).ami
    seen = Seen(settings=settings, places=places, exists=True, bridge=1, ami_secret=secret)
    found = about(await examine_asterisk(seen), "telephones in pages")
    assert [one.grade for one in found] == (["ok"] if account == "webcall-01" else ["bad"])
    assert told in found[0].finding
    assert account or "sip.browser_secrets" in found[0].remedy


async def test_a_number_and_an_agent_asterisk_was_not_told(made: Settings, asterisk: FakeAmi) -> None:
    places = Places(made)
    text = places.centre.read_text(encoding="utf-8") + '  "1099": {name: New, queues: [support]}\n'
    places.centre.write_text(text.replace('"5003"', '"5099"'), encoding="utf-8")
    told = "\n".join(bad(await examine(_at(made, asterisk))))
    assert "Asterisk does not answer: 5099" in told
    assert "Asterisk does not have: 1099, 1099-web" in told


async def test_a_dialplan_without_us(made: Settings, asterisk: FakeAmi) -> None:
    asterisk.on("ShowDialPlan", lambda c, a: c.answer(a, Response="Error", Message="Did not find context x"))
    (told,) = about(await examine(_at(made, asterisk)), "dialplan")
    assert told.grade == "bad"
    assert "own-asterisk" in told.remedy


async def test_an_account_that_may_not_look(made: Settings, asterisk: FakeAmi) -> None:
    asterisk.on("ShowDialPlan", lambda c, a: c.answer(a, Response="Error", Message="Permission denied"))
    asterisk.on("ListCommands", lambda c, a: c.answer(a, Status="yes", DeviceStateList="yes"))
    findings = await examine(_at(made, asterisk))
    assert about(findings, "dialplan")[0].grade == "note"
    (told,) = about(findings, "manager account")
    assert (told.grade, told.finding) == ("bad", "it may not do Redirect, Hangup")


async def test_another_node_name(made: Settings, asterisk: FakeAmi) -> None:
    asterisk.on("CoreSettings", lambda c, a: c.answer(a, AsteriskVersion="22.10.1", SystemName=""))
    (told,) = about(await examine(_at(made, asterisk)), "node")
    assert told.grade == "bad"


async def test_an_asterisk_that_does_not_let_us_in(made: Settings, asterisk: FakeAmi) -> None:
    asterisk.secret = "another"
    (told,) = about(await examine(_at(made, asterisk)), "manager interface")
    assert told.grade == "bad"
    assert "refused" in told.finding


async def test_an_asterisk_that_hangs(made: Settings, asterisk: FakeAmi) -> None:
    asterisk.stalled = True
    async with asyncio.timeout(60):
        (told,) = about(await examine(_at(made, asterisk)), "manager interface")
    assert told.grade == "bad"
