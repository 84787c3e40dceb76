"""The configuration of a running centre without an Asterisk: refused whole or taken to everybody, old texts kept."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cti import live_configuration
from cti.asterisk import reload
from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.translate import accounts_of
from cti.asterisk.reload import AsteriskFollower
from cti.asterisk.render import RenderedPaths
from cti.centre_file import parse_centre
from cti.centre_versions import CentreVersions, version_of
from cti.clock import SystemClock
from cti.errors import ConfigError, RemoteError
from cti.ids import AgentId, NodeName
from cti.live_configuration import LiveConfiguration
from cti.model import facts as f
from cti.model.centre import Centre
from cti.places import REPOSITORY
from cti.secrets_file import Secrets, load_or_make, secrets_path
from cti.services import live_centre
from cti.services.configuration import ConfigConflict, ConfigInvalid
from cti.services.dispatcher import Dispatcher
from cti.services.flow_library import FlowLibrary
from cti.settings import Settings, load_settings
from cti.web.auth.accounts import Accounts
from tests.support.fake_floor import QUICK_HASHER
from tests.unit.services.test_dispatcher import FakeClock, FakeDirectory, FakeJournal, FakeTelephony

TEXT = """\
# Our centre.
name: Small
numbers:
  "5001": {flow: support_direct, survival_queue: support}
queues:
  support: {titles: {en: Support}}
  sales: {titles: {en: Sales}}
  vip: {titles: {en: VIP}}
agents:
  "1001": {name: Ada, queues: [support, sales]}
  "1002": {name: Bo, queues: [support]}
"""
ADA, BO, CY = AgentId("1001"), AgentId("1002"), AgentId("1003")


class Bench:
    """A live configuration over a dispatcher that runs; Asterisk is a list of what it was told."""

    def __init__(self, folder: Path) -> None:
        self.settings = load_settings(None, overrides={"data": str(folder / "data")})
        self.file = folder / "data" / "centre.yaml"
        self.file.parent.mkdir()
        self.file.write_text(TEXT)
        centre = parse_centre(TEXT, source="c.yaml")
        self.secrets = load_or_make(self.settings.data, centre)
        self.accounts_file = folder / "data" / "secrets" / "accounts.json"
        Accounts.write_first(self.accounts_file, self.secrets.logins, centre.agents, hasher=QUICK_HASHER)
        self.accounts = Accounts.load(self.accounts_file, hasher=QUICK_HASHER)
        self.journal = FakeJournal()
        self.dispatcher = Dispatcher(
            centre,
            node=NodeName("t1"),
            journal=self.journal,
            telephony=FakeTelephony(),
            directory=FakeDirectory(),
            clock=FakeClock(),
        )
        self.flows = FlowLibrary.load(REPOSITORY / "ivr_flows", _demo())
        link = AmiLink(host="127.0.0.1", port=1, username="x", secret="x")
        self.telephony = AmiTelephony(
            link, accounts=accounts_of(centre.agents), deliver=self.dispatcher.deliver, clock=SystemClock()
        )
        self.told: list[tuple[Centre, frozenset[str]]] = []
        self.trouble: Exception | None = None
        self.regions: list[str] = []
        self.configuration = LiveConfiguration(
            self.settings,
            text=TEXT,
            versions=CentreVersions(self.file, folder / "data" / "centre-versions"),
            dispatcher=self.dispatcher,
            flows=self.flows,
            accounts=self.accounts,
            accounts_file=self.accounts_file,
            secrets=self.secrets,
            telephony=self.telephony,
            follow=self._follow,
            clock=FakeClock(),
            on_region=self.regions.append,
        )

    async def _follow(self, centre: Centre, secrets: Secrets) -> Sequence[str]:
        if self.trouble is not None:
            raise self.trouble
        self.told.append((centre, frozenset(secrets.sip)))
        return ()

    @property
    def version(self) -> str:
        return self.configuration.current().version

    def text(self, *swaps: tuple[str, str]) -> str:
        text = self.configuration.current().text
        for old, new in swaps:
            assert old in text
            text = text.replace(old, new)
        return text

    def old_texts(self) -> list[str]:
        return [file.read_text() for file in sorted((self.file.parent / "centre-versions").glob("*.yaml"))]


def _demo() -> Centre:
    from cti.centre_file import load_centre
    from cti.places import DEMO_CENTRE

    return load_centre(DEMO_CENTRE)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    # The shipped flows need more tiers and calendars than these tests: they have those that fit.
    for name in list(bench.flows._live):
        if name not in ("support_direct", "vip_desk"):
            del bench.flows._live[name]
    task = asyncio.create_task(bench.dispatcher.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(fits: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not fits():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


NEW_AGENT = (
    '"1002": {name: Bo, queues: [support]}\n',
    '"1002": {name: Bo, queues: [support]}\n  "1003": {name: Cy, queues: [sales]}\n',
)
NO_BO = ('  "1002": {name: Bo, queues: [support]}\n', "")


async def test_an_apply_reaches_everybody(bench: Bench) -> None:
    text = bench.text(NEW_AGENT, ("name: Small", "name: Small\nregion: DE"))
    done = await bench.configuration.apply(text, expected=bench.version, by="sue")
    assert done.changes == ("region US -> DE", "agent 1003 is new: Cy, sales")
    assert (done.notes, set(done.logins)) == ((), {"1003"})
    assert bench.file.read_text() == text
    assert bench.old_texts() == [TEXT]
    assert bench.dispatcher.board.centre.agents[CY].name == "Cy"
    assert bench.regions == ["DE"]
    (fact,) = [fact for fact in bench.journal.facts if isinstance(fact, f.CentreApplied)]
    assert (fact.version, fact.by, fact.changes) == (version_of(text), "sue", done.changes)
    account = await bench.accounts.verify("1003", done.logins["1003"])
    assert account is not None
    assert account.agent_id == "1003"
    assert stat.S_IMODE(bench.accounts_file.stat().st_mode) == 0o600
    ((centre, sip),) = bench.told
    assert set(centre.agents) == {ADA, BO, CY}
    assert {"1003", "1003-web"} <= sip
    assert bench.telephony.translator.accounts["1003-web"][0] == CY
    current = bench.configuration.current()
    assert (current.text, current.by) == (text, "sue")


async def test_who_has_left_is_locked_out_and_comes_back_as_somebody_new(bench: Bench) -> None:
    before = bench.accounts.get("1002")
    passwords = dict(bench.secrets.logins), dict(bench.secrets.sip)
    await bench.configuration.apply(bench.text(NO_BO), expected=bench.version, by="sue")
    assert bench.accounts.get("1002") is None
    assert "1002" not in bench.accounts_file.read_text()
    assert "1002" not in json.loads(secrets_path(bench.settings.data).read_text())["sip"]
    assert "1002-web" not in bench.secrets.sip
    assert "1002" not in bench.telephony.translator.accounts
    await bench.configuration.apply(TEXT, expected=bench.version, by="sue")
    again = bench.accounts.get("1002")
    assert before is not None
    assert again is not None
    assert again.epoch > before.epoch  # an old session is not a new one's
    assert bench.secrets.logins["1002"] != passwords[0]["1002"]
    assert bench.secrets.sip["1002"] != passwords[1]["1002"]
    assert bench.secrets.sip["1001"] == passwords[1]["1001"]


async def test_passwords_survive_a_program_that_read_the_old_file(bench: Bench) -> None:
    original = bench.configuration._versions.replace

    def replace(*args: object, **more: object) -> object:
        load_or_make(bench.settings.data, parse_centre(TEXT, source="x"))  # `cti status`, at the worst moment
        return original(*args, **more)  # type: ignore[arg-type]

    bench.configuration._versions.replace = replace  # type: ignore[assignment, method-assign]
    done = await bench.configuration.apply(bench.text(NEW_AGENT), expected=bench.version, by="sue")
    assert await bench.accounts.verify("1003", done.logins["1003"])
    assert json.loads(secrets_path(bench.settings.data).read_text())["logins"]["1003"] == done.logins["1003"]


async def test_a_conflict_says_who_and_what_to_do_and_changes_nothing(bench: Bench) -> None:
    base = bench.version
    first, second = bench.text(NEW_AGENT), bench.text(("name: Small", "name: Other"))
    done = await asyncio.gather(
        bench.configuration.apply(first, expected=base, by="ann"),
        bench.configuration.apply(second, expected=base, by="ben"),
        return_exceptions=True,
    )
    conflict = done[1]
    assert isinstance(conflict, ConfigConflict)
    assert "by ann" in conflict.message
    assert "export" in conflict.remedy
    assert bench.file.read_text() == first


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: Bo, queues: [support]", "name: Bo, queues: [suport]", "centre.yaml:11: agents.1002.queues: there is no queue suport"),
        ("flow: support_direct", "flow: nowhere", "centre.yaml:4: numbers.5001.flow: there is no flow nowhere"),
        ("  vip: {titles: {en: VIP}}\n", "", 'vip_desk.yaml:'),
    ],
)  # fmt: skip
async def test_what_would_break_is_refused_with_its_place(bench: Bench, old: str, new: str, told: str) -> None:
    text = bench.text((old, new))
    with pytest.raises(ConfigInvalid, match=told) as caught:
        await bench.configuration.apply(text, expected=bench.version, by="sue")
    assert caught.value.remedy
    assert [str(p) for p in await bench.configuration.check(text)] == caught.value.message.splitlines()
    with pytest.raises(ConfigInvalid):
        await bench.configuration.diff(text)
    assert (bench.file.read_text(), bench.told, bench.old_texts()) == (TEXT, [], [])


async def test_a_comment_is_a_new_version_that_changes_nothing(bench: Bench) -> None:
    text = bench.text(("# Our centre.", "# Our own centre."))
    assert await bench.configuration.diff(text) == ()
    done = await bench.configuration.apply(text, expected=bench.version, by="sue")
    assert done.changes == ()
    assert bench.file.read_text() == text


async def test_the_line_of_the_version_is_not_kept_in_the_file(bench: Bench) -> None:
    text = f"# cti-version: {bench.version} (from an export)\n{bench.text(NEW_AGENT)}"
    await bench.configuration.apply(text, expected=bench.version, by="sue")
    assert bench.file.read_text() == text.partition("\n")[2]


async def test_an_edit_by_hand_that_was_never_applied_is_kept(bench: Bench) -> None:
    bench.file.write_text(TEXT + "# by hand\n")
    done = await bench.configuration.apply(bench.text(NEW_AGENT), expected=bench.version, by="sue")
    assert any("had been changed and not applied" in note for note in done.notes)
    assert set(bench.old_texts()) == {TEXT, TEXT + "# by hand\n"}


async def test_asterisk_away_is_told_and_made_up_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_configuration, "AGAIN_SECONDS", 0.05)
    bench.trouble = RemoteError("there is no link to Asterisk")
    done = await bench.configuration.apply(bench.text(NEW_AGENT), expected=bench.version, by="sue")
    assert any("no link to Asterisk" in note for note in done.notes)
    assert CY in bench.dispatcher.board.agents
    assert bench.told == []
    bench.trouble = None
    await until(lambda: bench.told)
    assert CY in bench.told[0][0].agents


async def test_a_file_that_cannot_be_written_changes_nothing(bench: Bench) -> None:
    (bench.file.parent / "centre-versions").write_text("in the way")
    with pytest.raises(ConfigError):
        await bench.configuration.apply(bench.text(NEW_AGENT), expected=bench.version, by="sue")
    assert bench.file.read_text() == TEXT
    assert CY not in bench.dispatcher.board.agents


async def test_what_retires_keeps_its_accounts_until_it_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    engaged = {BO}
    monkeypatch.setattr(live_centre, "_engaged", lambda agent: agent.agent_id in engaged)
    done = await bench.configuration.apply(bench.text(NO_BO), expected=bench.version, by="sue")
    assert done.changes == ("agent 1002 goes: the call goes on",)
    assert bench.accounts.get("1002") is not None
    assert "1002-web" in bench.told[-1][1]
    engaged.clear()
    await until(lambda: bench.accounts.get("1002") is None)
    await until(lambda: "1002-web" not in bench.told[-1][1])
    assert "1002" not in json.loads(secrets_path(bench.settings.data).read_text())["logins"]


# ---- Asterisk's files


class FakeAsterisk:
    """Knows an account only after a moment, as Asterisk does."""

    def __init__(self) -> None:
        self.reloaded: list[str] = []
        self.asked: list[str] = []
        self.away = False

    async def reload(self, module: str) -> None:
        if self.away:
            raise RemoteError("there is no link to Asterisk")
        self.reloaded.append(module)

    async def has_endpoint(self, name: str) -> bool:
        self.asked.append(name)
        return len(self.asked) > 2


def follower(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, asterisk: FakeAsterisk, changed: Collection[str]
) -> AsteriskFollower:
    out = bench.settings.data / "asterisk"
    out.mkdir()
    (out / "asterisk.conf").touch()
    written = list(changed)

    def render(*_: object) -> Sequence[str]:
        now, written[:] = list(written), []
        return now

    made = AsteriskFollower(
        bench.settings, prompts=bench.settings.data, out=out, asterisk=asterisk, accounts=bench.secrets.sip
    )
    monkeypatch.setattr(made, "_render", render)
    return made


async def test_only_what_changed_is_reloaded_and_not_before_the_account_is_known(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asterisk = FakeAsterisk()
    changed = ("cti/extensions.conf", "cti/pjsip.conf", "rtp.conf")
    follow = follower(bench, monkeypatch, asterisk, changed).follow
    centre = parse_centre(bench.text(NEW_AGENT), source="x")
    secrets = load_or_make(bench.settings.data, centre)
    notes = await follow(centre, secrets)
    assert asterisk.reloaded == ["res_pjsip.so", "pbx_config.so"]
    assert asterisk.asked == ["1003"] * 3
    assert len(notes) == 1
    assert notes[0].startswith("rtp.conf changed: ")
    assert (await follow(centre, secrets), len(asterisk.reloaded)) == ([], 2)


async def test_an_asterisk_that_was_started_before_is_given_standing_passwords(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower_ = follower(bench, monkeypatch, FakeAsterisk(), ())
    monkeypatch.undo()  # rendering is what is looked at
    rendered: list[Settings] = []

    def render(settings: Settings, *_: object) -> RenderedPaths:
        rendered.append(settings)
        return RenderedPaths(**dict.fromkeys(RenderedPaths.__slots__, Path()) | {"changed": ()})

    monkeypatch.setattr(reload, "find_asterisk", lambda _settings: (object(), ""))
    monkeypatch.setattr(reload, "render", render)
    centre = bench.dispatcher.board.centre
    assert await follower_.follow(centre, bench.secrets) == []
    (note,) = await follower_.follow(centre, bench.secrets, standing=True)
    assert "started again" in note
    assert [one.sip.browser_secrets for one in rendered] == ["short", "standing"]


async def test_what_asterisk_missed_is_reloaded_the_next_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asterisk = FakeAsterisk()
    follow = follower(bench, monkeypatch, asterisk, ("cti/queues.conf",)).follow
    asterisk.away = True
    with pytest.raises(RemoteError):
        await follow(bench.dispatcher.board.centre, bench.secrets)
    asterisk.away = False
    assert await follow(bench.dispatcher.board.centre, bench.secrets) == []
    assert asterisk.reloaded == ["app_queue.so"]


async def test_an_asterisk_of_ones_own_is_left_alone(bench: Bench) -> None:
    asterisk = FakeAsterisk()
    made = AsteriskFollower(
        bench.settings, prompts=bench.settings.data, out=bench.settings.data / "none", asterisk=asterisk, accounts=()
    )
    (note,) = await made.follow(bench.dispatcher.board.centre, bench.secrets)
    assert "cti asterisk render" in note
    assert asterisk.reloaded == []


def test_versions_are_named_by_when_they_were_replaced(tmp_path: Path) -> None:
    real = tmp_path / "repository.yaml"
    real.write_text("one")
    link = tmp_path / "centre.yaml"
    link.symlink_to(real)
    versions = CentreVersions(link, tmp_path / "old")
    (kept,) = versions.replace("two", at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC), keep=["one"])
    assert kept.name == f"20260301T093000Z-{version_of('one')}.yaml"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert link.is_symlink()
    assert (real.read_text(), versions.read()) == ("two", "two")
