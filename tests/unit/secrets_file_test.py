"""The secrets of a centre: made once, private, kept."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cti.centre_file import load_centre
from cti.errors import ConfigError
from cti.ids import AgentId
from cti.model.centre import Agent, Centre
from cti.places import DEMO_CENTRE
from cti.secrets_file import ALPHABET, WORDS, endpoints, load_or_make, read_secrets, secrets_path


@pytest.fixture
def centre() -> Centre:
    return load_centre(DEMO_CENTRE)


def test_made_for_its_owner_only(tmp_path: Path, centre: Centre) -> None:
    load_or_make(tmp_path / "data", centre)
    path = secrets_path(tmp_path / "data")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["secrets.json"]


def test_everybody_has_their_own(tmp_path: Path, centre: Centre) -> None:
    secrets = load_or_make(tmp_path, centre)
    people = (*centre.agents, "supervisor", "admin")
    assert set(secrets.sip) == set(endpoints(centre)) == {"webcall", *people, *(f"{one}-web" for one in people)}
    assert set(secrets.logins) == {*centre.agents, "supervisor", "admin"}
    every = [secrets.ami, secrets.session_key, *secrets.sip.values(), *secrets.logins.values()]
    assert len(set(every)) == len(every)
    assert all(len(word) == WORDS and set(word) <= set(ALPHABET) for word in secrets.logins.values())
    assert min(map(len, [secrets.ami, secrets.session_key, *secrets.sip.values()])) >= 24


def test_kept_at_the_next_start(tmp_path: Path, centre: Centre) -> None:
    first = load_or_make(tmp_path, centre)
    written = secrets_path(tmp_path).stat().st_mtime_ns
    assert load_or_make(tmp_path, centre) == first
    assert secrets_path(tmp_path).stat().st_mtime_ns == written


def test_a_new_agent_gets_some_and_the_others_keep_theirs(tmp_path: Path, centre: Centre) -> None:
    first = load_or_make(tmp_path, centre)
    new = Agent(agent_id=AgentId("2001"), name="New", queues=())
    second = load_or_make(tmp_path, replace(centre, agents={**centre.agents, new.agent_id: new}))
    assert set(second.sip) - set(first.sip) == {"2001", "2001-web"}
    assert set(second.logins) - set(first.logins) == {"2001"}
    assert {name: second.sip[name] for name in first.sip} == first.sip
    assert {name: second.logins[name] for name in first.logins} == first.logins
    assert second.session_key == first.session_key


def test_never_in_a_representation(tmp_path: Path, centre: Centre) -> None:
    secrets = load_or_make(tmp_path, centre)
    shown = f"{secrets!r} {secrets}"
    assert not any(
        word in shown for word in [secrets.ami, secrets.session_key, *secrets.sip.values(), *secrets.logins.values()]
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_refused_when_others_can_read_or_write_it(tmp_path: Path, centre: Centre, mode: int) -> None:
    load_or_make(tmp_path, centre)
    path = secrets_path(tmp_path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others can read it") as caught:
        load_or_make(tmp_path, centre)
    assert caught.value.remedy == f"chmod 600 {path}"


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "\x00"])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, centre: Centre, text: str) -> None:
    path = secrets_path(tmp_path)
    path.parent.mkdir(mode=0o700)
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=str(path)) as caught:
        load_or_make(tmp_path, centre)
    assert "backup" in caught.value.remedy
    assert path.read_text() == text


def test_reading_makes_nothing(tmp_path: Path) -> None:
    assert read_secrets(secrets_path(tmp_path)) == {}
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_missing_are_made(tmp_path: Path, centre: Centre) -> None:
    first = load_or_make(tmp_path, centre)
    path = secrets_path(tmp_path)
    tree = json.loads(path.read_text())
    del tree["session_key"], tree["sip"]["1001"]
    path.write_text(json.dumps(tree))
    second = load_or_make(tmp_path, centre)
    assert second.ami == first.ami
    assert second.session_key
    assert second.session_key != first.session_key
    assert second.sip["1001"] not in ("", first.sip["1001"])
    assert second.sip["1002"] == first.sip["1002"]
