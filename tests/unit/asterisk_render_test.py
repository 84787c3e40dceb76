"""Rendering is text in, text out: what the files say, what is refused, and that unchanged files are left alone."""

from __future__ import annotations

import array
import dataclasses
import re
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from cti.asterisk import render as subject
from cti.asterisk.hold_music import write_hold_music
from cti.asterisk.install import AsteriskBinary, version_numbers
from cti.asterisk.render import RenderedPaths, longest_extension, render
from cti.errors import ConfigError
from cti.ids import AgentId, FlowName, QueueName
from cti.model.centre import Agent, Centre, Number, Outbound, Queue
from cti.settings import Settings

SUPPORT = QueueName("support")


@dataclasses.dataclass(frozen=True)
class Secrets:
    ami: str = "ami-secret"
    sip: dict[str, str] = dataclasses.field(
        default_factory=lambda: {"1001": "one", "1001-web": "two", "webcall": "three"}
    )


def centre(*, dids: tuple[str, ...] = ("5000", "+15550100"), name: str = "Ann", number: str = "+15550177") -> Centre:
    return Centre(
        name="Test",
        queues={SUPPORT: Queue(name=SUPPORT, titles={})},
        agents={AgentId("1001"): Agent(agent_id=AgentId("1001"), name=name, queues=(SUPPORT,), number=number)},
        tiers={},
        outbound=Outbound(allow=("+1555",)),
        numbers={did: Number(did=did, flow=FlowName("main"), survival_queue=SUPPORT) for did in dids},
    )


def binary(folder: Path) -> AsteriskBinary:
    for name in ("modules", "share", "sounds", "moh"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "modules" / "codec_opus_open_source.so").touch()
    return AsteriskBinary(
        argv=("/nowhere/asterisk",),
        version="22.10.1",
        modules=folder / "modules",
        sounds=folder / "sounds",
        music=folder / "moh",
        share=folder / "share",
        origin="unpacked",
    )


def rendered(
    tmp_path: Path, *, data: Path | None = None, secrets: Secrets | None = None, **settings: object
) -> tuple[RenderedPaths, dict[str, str]]:
    place = data or tmp_path / "data"
    paths = render(
        Settings.model_validate({"data": place, **settings}),
        centre(),
        secrets or Secrets(),
        binary(tmp_path / "ast"),
        tmp_path / "prompts",
        place / "asterisk",
    )
    return paths, {str(file.relative_to(paths.etc)): file.read_text() for file in paths.etc.rglob("*.conf")}


def sections(text: str) -> list[str]:
    return re.findall(r"^\[([^\]]+)\]", text, flags=re.MULTILINE)


def test_files_are_private_and_only_written_when_changed(tmp_path: Path) -> None:
    first, texts = rendered(tmp_path)
    assert set(first.changed) == set(texts) - {"cti/banned.conf"}, "the bridge writes that one"
    for file in first.etc.rglob("*.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (first.etc, first.run, first.voicemail, first.recordings):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again, _ = rendered(tmp_path)
    assert again.changed == ()
    third, _ = rendered(tmp_path, secrets=Secrets(ami="another"))
    assert third.changed == ("cti/manager.conf",)


def test_every_module_of_the_list_is_named_once(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    loaded = re.findall(r"^(?:load|require) = (\w+)\.so$", texts["modules.conf"], flags=re.MULTILINE)
    assert len(loaded) == len(set(loaded))
    assert set(subject.REQUIRED_MODULES) < set(loaded)
    assert "codec_opus_open_source" in loaded
    assert "codec_opus" not in loaded
    assert not {"app_system", "func_shell", "func_curl", "func_env", "func_realtime", "res_pjsip_diversion"} & set(
        loaded
    )
    assert "autoload = no" in texts["modules.conf"]


def test_every_endpoint_has_a_fixed_caller_id(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    text = texts["cti/pjsip.conf"]
    for name in ("trunk", "webcall-01", "webcall-20", "1001", "1001-web"):
        block = next(part for part in re.split(r"\n(?=\[)", text) if part.startswith(f"[{name}]("))
        assert re.search(r'^callerid = "[^"]*" <\d+>$', block, flags=re.MULTILINE), name
        context = "cti-inbound" if name == "trunk" else "cti-webcall" if name.startswith("webcall") else "cti-agents"
        assert f"context = {context}" in block
    assert "trust_id_inbound = no" in text
    assert "allow_transfer = no" in text


def test_only_the_carrier_is_asked_whether_a_call_lives_and_only_if_told(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    assert "timers" not in texts["cti/pjsip.conf"]
    _, texts = rendered(tmp_path, network={"alive_seconds": 1800})
    asked = [part for part in re.split(r"\n(?=\[)", texts["cti/pjsip.conf"]) if "timers" in part]
    assert len(asked) == 1
    assert asked[0].startswith("[trunk](cti-sip)")
    assert "timers = always\ntimers_min_se = 90\ntimers_sess_expires = 1800\n" in asked[0]


def test_no_password_of_a_telephone_in_a_page_is_in_any_file(tmp_path: Path) -> None:
    passwords = {
        "1001": "pass-one",
        "1001-web": "pass-two",
        "boss": "pass-boss",
        "boss-web": "pass-four",
        "webcall": "pass-five",
    }
    secrets = Secrets(sip=passwords)
    paths, texts = rendered(tmp_path, secrets=secrets, sip={"webcall_lines": 3})
    whole = "\n".join(texts.values())
    assert [one for one in passwords.values() if one in whole] == ["pass-one", "pass-boss"]
    pjsip = texts["cti/pjsip.conf"] + texts["cti/supervisors.conf"]
    assert "auth = 1001-web.1,1001-web.2,1001-web.3\n" in pjsip
    assert "auth = boss-web.1,boss-web.2,boss-web.3\n" in pjsip
    assert [name for name in sections(pjsip) if name.startswith("webcall")] == [
        "webcall-01",
        "webcall-02",
        "webcall-03",
    ]
    assert "auth = astdb,cti\n" in texts["sorcery.conf"]
    assert stat.S_IMODE((paths.state / "astdb.sqlite3").stat().st_mode) == 0o600
    # Where they stand they are all there, and visitors come in as callers do.
    _, texts = rendered(tmp_path, data=tmp_path / "other", secrets=secrets, sip={"browser_secrets": "standing"})
    whole = "\n".join(texts.values())
    assert [one for one in passwords.values() if one not in whole] == []
    assert "cti-webcall" not in whole


def test_a_visitors_line_leads_to_the_centres_numbers_by_its_ticket_alone(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    body = texts["cti/webcall.conf"].split("[cti-webcall]\n", 1)[1]
    assert set(re.findall(r"^exten => ([^,]+),", body, flags=re.MULTILINE)) == {
        "5000",
        "+5000",
        "15550100",
        "+15550100",
    }
    assert "include =>" not in body
    assert set(re.findall(r"GotoIf\((.*)\?cti-inbound", body)) == {"$[0${CTI_TICKET} > ${EPOCH}]"}


def test_nothing_reachable_from_sip_is_a_pattern(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    text = texts["cti/extensions.conf"] + texts["cti/dialling.conf"]
    for context in ("cti-inbound", "cti-agents"):
        body = text.split(f"\n[{context}]\n", 1)[1].split("\n[", 1)[0]
        dialled = set(re.findall(r"^exten => ([^,]+),", body, flags=re.MULTILINE))
        assert not [one for one in dialled if one.startswith("_") or "." in one or "!" in one]
        assert re.findall(r"^include => (.+)$", body, re.MULTILINE) == (
            ["cti-refused"] if context == "cti-inbound" else []
        )
        if context == "cti-inbound":
            assert dialled == {"5000", "+5000", "15550100", "+15550100"}
    # Any other number is refused, and only told of: whole numbers of one length each, and nothing that matches less.
    body = text.split("\n[cti-refused]\n", 1)[1].split("\n[", 1)[0]
    dialled = set(re.findall(r"^exten => ([^,]+),", body, flags=re.MULTILINE))
    assert dialled == {f"_{plus}{'X' * digits}" for digits in range(1, 21) for plus in ("", "+")}
    assert body.count("Set(CTI_REFUSED=1)") == body.count("cti-enter,s,2") == len(dialled)
    enter = text.split("\n[cti-enter]\n", 1)[1].split("\n[", 1)[0].rstrip()
    assert '"${CTI_REFUSED}" != "1"]?cti-flow-run,s,2)\n same => n,Hangup(1)' in enter


def test_agents_dial_whole_numbers_only_where_there_is_a_trunk(tmp_path: Path) -> None:
    """Patterns of digits, a length each, which lead to a question to the bridge; nothing that matches more or less."""
    _, texts = rendered(tmp_path, trunk={"address": "192.0.2.7:5080"})
    body = texts["cti/dialling.conf"].split("\n[cti-agents]\n", 1)[1].split("\n[", 1)[0]
    patterns = set(re.findall(r"^exten => (_[^,]+),", body, flags=re.MULTILINE))
    assert patterns
    assert all(re.fullmatch(r"_\+?X{7,17}", pattern) for pattern in patterns)
    assert set(re.findall(r"Goto\((cti-keypad),", body)) == {"cti-keypad"}
    asked = texts["cti/dialling.conf"].split("\n[cti-keypad]\n", 1)[1].split("\n[", 1)[0]
    assert "Dial(" not in asked
    assert re.findall(r"GotoIf\((.+)\?cti-dial,", asked) == ['$["${CTI_NEXT}" = "dial"]'] * len(patterns)


@pytest.mark.parametrize("address", ["", "192.0.2.7:5080"])
def test_targets_of_redirects_outlast_every_extension(tmp_path: Path, address: str) -> None:
    _, texts = rendered(tmp_path, trunk={"address": address})
    text = texts["cti/extensions.conf"]
    steps = longest_extension(re.sub(r"^exten => \S+,\d+,Goto\(cti-[a-z]+-run,\$\{EXTEN\},2\)$", "", text, flags=re.M))
    for context, exten in (
        ("cti-wait", "s"), ("cti-flow", "s"), ("cti-bye", "s"), ("cti-survival", "s"),
        ("cti-voicemail", "s"), ("cti-asked", "s"), *([("cti-out", "_Z" + "X" * 14)] if address else []),
        *([("cti-deliver", "_XXXXXXXXXX31001")] if address else []),
        ("cti-deliver", "_XXXXXXXXXX[12]XX"), ("cti-deliver", "_XXXXXXXXXX[12]XXXXXX"),
    ):  # fmt: skip
        body = text.split(f"\n[{context}]\n", 1)[1].split("\n[", 1)[0]
        lines = [line for line in body.splitlines() if line.startswith(f"exten => {exten},")]
        assert [int(line.split(",")[1]) for line in lines] == list(range(1, len(lines) + 1))
        assert len(lines) > steps
        assert {line.split(",", 2)[2] for line in lines} == {f"Goto({context}-run,${{EXTEN}},2)"}
        for name in ("i", "t", "T"):
            assert f"\nexten => {name},1,NoOp()\n" in f"\n{body}\n"


@pytest.mark.parametrize("address", ["", "192.0.2.7:5080"])
def test_no_jump_ends_at_priority_one(tmp_path: Path, address: str) -> None:
    """A jump is taken up one priority early while a Redirect's mark is set, so priority 1 would mean 0."""
    _, texts = rendered(tmp_path, trunk={"address": address})
    text = texts["cti/extensions.conf"]
    assert not re.findall(r"Goto(?:If)?\([^)]*,1\)$", text, flags=re.MULTILINE)
    # A label is never the first step of its extension.
    assert not re.findall(r"^exten => [^,]+,1\(", text, flags=re.MULTILINE)


def test_without_an_address_nothing_is_dialled_over_the_trunk(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    assert "@trunk" not in texts["cti/extensions.conf"]
    assert not re.search(r"^\[cti-(out|callback|accept)", texts["cti/extensions.conf"], flags=re.M)
    assert "aors = trunk\n" not in texts["cti/pjsip.conf"]
    assert "_XXXXXXXXXX3" not in texts["cti/extensions.conf"]


def test_what_may_leave_over_the_trunk(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path, trunk={"address": "sip.example.net:5080"})
    dialplan, pjsip = texts["cti/extensions.conf"], texts["cti/pjsip.conf"]
    assert "contact = sip:sip.example.net:5080\nmax_contacts = 0\n" in pjsip
    body = dialplan.split("\n[cti-out]\n", 1)[1].split("\n[", 1)[0]
    dialled = {one for one in re.findall(r"^exten => ([^,]+),", body, flags=re.MULTILINE) if one not in "itT"}
    assert dialled == {"_Z" + "X" * more for more in range(5, 15)}
    dials = set(re.findall(r"Dial\((PJSIP/[^,]*@trunk),", dialplan))
    assert dials == {"PJSIP/+${EXTEN}@trunk", "PJSIP/+15550177@trunk"}
    # The centre's number is shown, never the caller's: to whom callers are sent, to customers whom agents call back, to agents.
    assert dialplan.count("Set(CALLERID(all)= <+15550100>") == 2 * len(dialled) + 1


def test_an_agents_number_that_may_not_be_dialled_is_not_rendered(tmp_path: Path) -> None:
    for number in ("+4930123456", "+1555", "15550177", "+1555017x", ""):
        settings = Settings.model_validate({"data": tmp_path / "data", "trunk": {"address": "192.0.2.7"}})
        paths = render(
            settings, centre(number=number), Secrets(), binary(tmp_path / "ast"), tmp_path / "p", tmp_path / "etc"
        )
        assert "31001" not in (paths.etc / "cti" / "extensions.conf").read_text()


@pytest.mark.parametrize("address", ["a b", "host:port", "-host", "host\nfoo", "host;x", "sip:host", "host:123456"])
def test_addresses_that_are_none_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"data": tmp_path, "trunk": {"address": address}})


def test_agi_is_always_set_to_end_with_a_redirect(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    steps = [line.strip() for line in texts["cti/extensions.conf"].splitlines() if line.startswith(" same => n")]
    asked = [number for number, line in enumerate(steps) if ",AGI(" in line]
    assert len(asked) == 3
    for number in asked:
        assert steps[number - 1].startswith("same => n,Set(TIMEOUT(absolute)=")
        assert steps[number - 2] == "same => n,Set(AGIEXITONHANGUP=yes)"
        assert steps[number - 3] == "same => n,Set(CTI_NEXT=)"


def test_manager_account_is_least(tmp_path: Path) -> None:
    _, texts = rendered(tmp_path)
    general, account = texts["manager.conf"], texts["cti/manager.conf"]
    assert "bindaddr = 127.0.0.1" in general
    for line in re.findall(r"^(?:read|write) = (.*)$", account, flags=re.MULTILINE):
        assert not {"security", "command", "config", "all", "log", "verbose"} & set(line.split(","))
    assert account.count("eventfilter(action(include),name(") == len(subject.AMI_EVENTS)


def test_a_name_cannot_write_configuration(tmp_path: Path) -> None:
    hostile = 'Ann"\n[evil]\ntype=endpoint ;<1> \\ ${SHELL(id)} 李'
    paths = render(
        Settings(data=tmp_path / "data"),
        centre(name=hostile),
        Secrets(),
        binary(tmp_path / "ast"),
        tmp_path / "prompts",
        tmp_path / "etc",
    )
    text = (paths.etc / "cti" / "pjsip.conf").read_text()
    assert "evil" not in sections(text)
    assert 'callerid = "Ann evil type=endpoint 1 SHELL(id) 李" <1001>' in text


@pytest.mark.parametrize("secret", ["line\nbreak", "semi;colon", "", "tab\t"])
def test_secrets_that_cannot_be_written_are_refused(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rendered(tmp_path, secrets=Secrets(ami=secret))
    assert secret == "" or secret not in str(caught.value)


@pytest.mark.parametrize("did", ["", "+", "12a", "_X.", "5000,1", "1" * 21])
def test_numbers_that_are_none_are_refused(tmp_path: Path, did: str) -> None:
    with pytest.raises(ConfigError):
        render(
            Settings(data=tmp_path / "data"),
            centre(dids=(did,)),
            Secrets(),
            binary(tmp_path / "ast"),
            tmp_path / "prompts",
            tmp_path / "etc",
        )


def test_numbers_dialled_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dialled alike"):
        render(
            Settings(data=tmp_path / "data"),
            centre(dids=("5000", "+5000")),
            Secrets(),
            binary(tmp_path / "ast"),
            tmp_path / "prompts",
            tmp_path / "etc",
        )


def test_a_folder_that_means_something_in_the_dialplan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot hold"):
        rendered(tmp_path, data=tmp_path / "a,b")


def test_a_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    paths, _ = rendered(tmp_path, data=tmp_path / ("d" * 90))
    try:
        assert len(str(paths.run / "asterisk.ctl")) < 108
        assert stat.S_IMODE(paths.run.stat().st_mode) == 0o700
    finally:
        paths.run.rmdir()


def test_there_is_always_music(tmp_path: Path) -> None:
    paths, texts = rendered(tmp_path)  # the packaged folder is empty here
    assert paths.music == tmp_path / "data" / "hold-music"
    assert (paths.music / "tune.sln").stat().st_size == 32 * 8000 * 2
    assert f"directory = {paths.music}" in texts["cti/musiconhold.conf"]
    before = (paths.music / "tune.sln").stat().st_mtime_ns
    write_hold_music(paths.music)
    assert (paths.music / "tune.sln").stat().st_mtime_ns == before


def test_music_for_a_moment_can_be_heard_from_its_first_note(tmp_path: Path) -> None:
    """The centre's own piece, else the made tune: packaged ones fade in for a second."""
    packaged = binary(tmp_path / "ast").music
    (packaged / "piece.wav").touch()
    paths, texts = rendered(tmp_path)
    assert (paths.music, paths.moment_music) == (packaged, tmp_path / "data" / "hold-music")
    assert f"directory = {paths.moment_music}\n" in texts["cti/musiconhold.conf"].partition("[cti-moment]")[2]
    first = array.array("h", (paths.moment_music / "tune.sln").read_bytes()[:1600])
    assert max(first) > 1000  # a tenth of a second


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("22.10.1~dfsg+~cs6.17-1", (22, 10, 1)),
        ("Asterisk 22.0", (22, 0, 0)),
        ("Asterisk certified/20.7-cert3", (20, 7, 0)),
        ("GIT-master", None),
    ],
)
def test_version_numbers(text: str, numbers: tuple[int, int, int] | None) -> None:
    assert version_numbers(text) == numbers


def test_a_carrier_whose_certificate_nobody_could_check_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = {"address": "carrier.example", "encrypted": True}
    told = {"tls": {"mode": "on"}, "trunk": trunk}
    monkeypatch.setattr(subject, "AUTHORITIES", (tmp_path,))
    _, texts = rendered(tmp_path / "one", **told)
    assert "verify_server = yes" in texts["pjsip.conf"]
    monkeypatch.setattr(subject, "AUTHORITIES", (tmp_path / "nowhere",))
    with pytest.raises(ConfigError, match=r"trunk\.encrypted"):
        rendered(tmp_path / "two", **told)
