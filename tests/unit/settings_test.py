"""Settings: precedence, and what a person is told when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cti.errors import ConfigError
from cti.settings import load_settings, meaningless


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "centre.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _refused(file: Path | None = None, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ=environ or {})
    assert caught.value.remedy
    return caught.value


def test_defaults_need_nothing_and_folders_are_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(environ={})
    assert settings.data == tmp_path / ".data"
    assert settings.run == tmp_path / ".data" / "run"
    assert settings.ports.of("web") == 8080
    assert settings.network.bind == "127.0.0.1"


def test_later_sources_win(tmp_path: Path) -> None:
    file = _file(tmp_path, 'node = "b1"\nlog_level = "error"\n[ports]\nweb = 9000\nsip = 9060\n')
    environ = {"CTI_PORTS__WEB": "9001", "CTI_NODE": "c1", "CTI_PORTS__OFFSET": "100"}
    settings = load_settings(file, environ=environ, overrides={"node": "d1", "ports.agi": 9002})
    assert (settings.node, settings.log_level) == ("d1", "error")
    assert [settings.ports.of(name) for name in ("web", "sip", "agi", "ami")] == [9101, 9160, 9102, 5138]


def test_lists_in_the_environment_are_json() -> None:
    settings = load_settings(environ={"CTI_TRUNK__MATCH": '["192.0.2.1", "192.0.2.2"]'})
    assert settings.trunk.match == ("192.0.2.1", "192.0.2.2")


def test_an_empty_variable_is_not_set() -> None:
    assert load_settings(environ={"CTI_CENTRE": "", "CTI_PORTS__WEB": "", "CTI_NODE": ""}) == load_settings(environ={})


def test_folders_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = load_settings(environ={"CTI_DATA": "~/c", "CTI_ASTERISK__ROOT": "~/a", "CTI_ASTERISK__LEDGER": "~/l"})
    assert settings.data == tmp_path / "c"
    assert settings.asterisk_root == tmp_path / "a"
    assert settings.asterisk.ledger == tmp_path / "l"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour = 1\n", ["centre.toml: colour: there is no such key"]),
        ("[ports]\nwww = 1\n", ["centre.toml: ports.www: there is no such key"]),
        ('[ports]\nweb = "many"\n', ["centre.toml: ports.web: ", "integer"]),
        ("[ports]\nweb = 70000\n", ["centre.toml: ports.web: ", "65535"]),
        ("[ports]\nweb = 5060\n", ["centre.toml: ports: two services have the same port"]),
        ("[ports]\nrtp_last = 10001\n", ["centre.toml: ports: rtp_last must be at least rtp_first + 19"]),
        ("[ports]\noffset = 40000\nrtp_first = 30000\nrtp_last = 31000\n", ["ports: offset 40000 pushes rtp_first"]),
        ('ports = "8080"\n', ["centre.toml: ports: this is a section of keys"]),
        ('node = "A 1"\n', ["centre.toml: node: "]),
        ('[trunk]\nmatch = "192.0.2.1"\n', ["centre.toml: trunk.match: a list is needed"]),
        ('log_level = "loud"\n', ["centre.toml: log_level: "]),
        ("[survival]\nwait_misses = 0\n", ["centre.toml: survival.wait_misses: "]),
        (
            "[network]\nalive_seconds = 60\n",
            ["centre.toml: network.alive_seconds: SIP allows no session timer below 90"],
        ),
        (
            "[network]\nalive_seconds = 90\n",
            [
                "centre.toml: network: with alive_seconds 90",
                "every 45 s",
                "Set silence_seconds below half of alive_seconds",
            ],
        ),
        ("[network]\nalive_seconds = 1200\n", ["silence_seconds 600 would never be reached"]),
        ("node = \n", ["centre.toml: not valid TOML", "line 1"]),
        ("\x00", ["centre.toml: not valid TOML"]),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, told: list[str]) -> None:
    error = _refused(_file(tmp_path, text))
    for part in told:
        assert part in error.message


@pytest.mark.parametrize(("alive", "silence"), [(0, 600), (90, 44), (90, 0), (1201, 600), (0, 0)])
def test_silence_that_can_be_reached(tmp_path: Path, alive: int, silence: int) -> None:
    text = f"[network]\nalive_seconds = {alive}\nsilence_seconds = {silence}\n"
    network = load_settings(_file(tmp_path, text), environ={}).network
    assert (network.alive_seconds, network.silence_seconds) == (alive, silence)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    error = _refused(_file(tmp_path, 'node = "A"\ncolour = 1\n'), {"CTI_PORTS__WEB": "x"})
    assert {line.rpartition("/")[2].split(": ")[1] for line in error.message.splitlines()} == {
        "node", "colour", "ports.web",
    }  # fmt: skip
    assert error.remedy == "docs/settings.md lists every key"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"CTI_PORTS__WEB": "x"}, "environment variable CTI_PORTS__WEB: ports.web: "),
        ({"CTI_PORT__WEB": "1"}, "environment variable CTI_PORT__WEB: port: there is no such key"),
        ({"CTI_TRUNK__MATCH": "192.0.2.1"}, "environment variable CTI_TRUNK__MATCH: trunk.match: a list is needed"),
        ({"CTI_TRUNK__MATCH": "[1]"}, "environment variable CTI_TRUNK__MATCH: trunk.match.0: "),
        ({"CTI_PORTS": "1"}, "environment variable CTI_PORTS: ports: this is a section of keys"),
        (
            {"CTI_PORTS": "1", "CTI_PORTS__WEB": "2"},
            "environment variable CTI_PORTS__WEB: ports was given as one value",
        ),
        ({"CTI_NODE__X": "1"}, "environment variable CTI_NODE__X: node: "),
        ({"CTI_PORTS__SIP": "8080"}, "environment variable CTI_PORTS__SIP: ports: two services have the same port"),
    ],
)
def test_a_wrong_variable_is_named(environ: dict[str, str], told: str) -> None:
    assert told in _refused(environ=environ).message


def test_a_value_of_the_database_address_is_not_repeated() -> None:
    error = _refused(environ={"CTI_DATABASE__URL__X": "postgresql://u:secret@h/d", "CTI_DATABASE__URL": "s3cr3t"})
    assert "s3cr3t" not in str(error)
    assert "secret" not in str(error)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "no such file" in _refused(tmp_path / "none.toml").message
    assert str(tmp_path) in _refused(tmp_path).message


def test_what_looks_like_a_setting_and_is_none() -> None:
    environ = {"CTI_NODES": "1", "CTI_NODE": "a1", "CTI_CONFIG": "x", "CTI_PORTS__WEB": "1", "PATH": "/bin"}
    assert meaningless(environ) == ["CTI_NODES"]
    assert load_settings(environ={"CTI_NODES": "1"}) == load_settings(environ={})
