import asyncio
import dataclasses
import json
import os
from datetime import UTC, datetime

import pytest

from cti.errors import ConfigError
from cti.web.auth.accounts import Account, Accounts, TooBusy
from cti.web.auth.permissions import Role
from cti.web.auth.scopes import scope_of_account
from tests.support.fake_floor import QUICK_HASHER, SALES, SUPPORT, demo_centre

AGENTS = demo_centre().agents
FIRST = {"1001": "a", "supervisor": "b", "admin": "c", "7777": "an extension that is no agent"}


def write(path, passwords=FIRST):
    return Accounts.write_first(path, passwords, AGENTS, hasher=QUICK_HASHER)


async def test_the_first_accounts_have_their_roles_and_a_private_file(tmp_path):
    file = tmp_path / "secrets" / "accounts.json"
    assert write(file) == ("1001", "supervisor", "admin")
    assert file.stat().st_mode & 0o777 == 0o600
    assert '"a"' not in file.read_text()
    assert all(line["hash"].startswith("$argon2id$") for line in json.loads(file.read_text()))
    accounts = Accounts.load(file, hasher=QUICK_HASHER)
    agent = await accounts.verify("1001", "a")
    assert (agent.role, agent.agent_id) == (Role.AGENT, "1001")
    assert (await accounts.verify("supervisor", "b")).role is Role.SUPERVISOR
    admin = await accounts.verify("admin", "c")
    assert (admin.role, admin.agent_id) == (Role.ADMIN, None)
    assert await accounts.verify("admin", "b") is None
    assert await accounts.verify("7777", "an extension that is no agent") is None


async def test_writing_again_adds_the_new_and_keeps_the_old(tmp_path):
    file = tmp_path / "accounts.json"
    write(file)
    assert write(file, {"1001": "another", "1002": "new"}) == ("1002",)
    accounts = Accounts.load(file, hasher=QUICK_HASHER)
    assert await accounts.verify("1001", "a")
    assert await accounts.verify("1001", "another") is None
    assert await accounts.verify("1002", "new")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "Invalid JSON"),
        ("{}", "valid array"),
        ('[{"username":"1001"}]', "0.role"),
        ('[{"username":"../x","role":"agent","hash":""}]', "0.username"),
        ('[{"username":"x","role":"god","hash":""}]', "0.role"),
        ('[{"username":"x","role":"agent","hash":""},{"username":"x","role":"admin","hash":""}]', "twice"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, said):
    file = tmp_path / "accounts.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError) as error:
        Accounts.load(file, hasher=QUICK_HASHER)
    assert said in str(error.value)
    assert str(file) in str(error.value)
    assert error.value.remedy
    if "twice" not in said:
        with pytest.raises(ConfigError):
            write(file)


def test_a_missing_or_open_file_is_refused(tmp_path):
    file = tmp_path / "accounts.json"
    with pytest.raises(ConfigError, match="no such file"):
        Accounts.load(file)
    file.write_text("[]")
    os.chmod(file, 0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        Accounts.load(file)


async def test_an_unknown_user_costs_the_same_work(tmp_path):
    checked = []

    class Hasher:
        def hash(self, password):
            return f"hash of {password}"

        def verify(self, hashed, password):
            checked.append(hashed)
            return hashed == f"hash of {password}"

    account = Account(username="x", role=Role.ADMIN, hash="hash of right")
    accounts = Accounts({"x": account}, hasher=Hasher())
    assert await accounts.verify("x", "right") == account
    assert await accounts.verify("y", "right") is None
    # Not even the stand-in's own password opens a door.
    assert await accounts.verify("y", "nobody has this password") is None
    assert len(checked) == 3


async def test_a_hash_that_is_none_opens_nothing():
    accounts = Accounts({"x": Account(username="x", role=Role.ADMIN, hash="")}, hasher=QUICK_HASHER)
    assert await accounts.verify("x", "") is None


async def test_a_flood_is_turned_away_and_the_loop_goes_on():
    import threading

    go = threading.Event()

    class Hasher:
        def hash(self, password):
            return ""

        def verify(self, hashed, password):
            go.wait(40)
            return False

    accounts = Accounts({}, hasher=Hasher())
    tasks = [asyncio.create_task(accounts.verify("x", "y")) for _ in range(70)]
    done, _ = await asyncio.wait(tasks, timeout=30, return_when=asyncio.FIRST_EXCEPTION)
    assert all(isinstance(task.exception(), TooBusy) for task in done)
    go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(result, TooBusy) for result in results) == 6
    assert results.count(None) == 64


async def test_screens_on_the_wall_are_accounts_of_their_own(tmp_path):
    file = tmp_path / "accounts.json"
    passwords = {"hall": "a", "lena": "b"}
    Accounts.write_first(file, passwords, AGENTS, named=("lena",), walls=("hall",), hasher=QUICK_HASHER)
    accounts = Accounts.load(file, hasher=QUICK_HASHER)
    assert (await accounts.verify("hall", "a")).role is Role.WALL
    assert (await accounts.verify("lena", "b")).role is Role.SUPERVISOR
    now = datetime(2026, 3, 2, tzinfo=UTC)
    more = {**passwords, "shop": "c"}
    await accounts.follow(file, more, AGENTS, now, named=("lena",), walls=("hall", "shop"))
    assert (accounts.get("shop").role, accounts.get("hall").epoch) == (Role.WALL, 0)
    # A name that means something else now is another account: what the former was logged in as is over.
    await accounts.follow(file, more, AGENTS, now, named=("lena", "hall"), walls=("shop",))
    assert (accounts.get("hall").role, accounts.get("hall").epoch) == (Role.SUPERVISOR, int(now.timestamp()))
    await accounts.follow(file, more, AGENTS, now, named=("lena",), walls=())
    assert (accounts.get("shop"), accounts.get("hall")) == (None, None)
    assert accounts.get("lena").epoch == 0


async def test_who_was_removed_while_the_centre_was_down_is_out_at_its_start(tmp_path):
    file, now = tmp_path / "accounts.json", datetime(2026, 3, 2, tzinfo=UTC)
    passwords = {"1001": "a", "1002": "b", "lena": "c", "hall": "d", "supervisor": "e", "admin": "f"}
    Accounts.write_first(file, passwords, AGENTS, named=("lena",), walls=("hall",), hasher=QUICK_HASHER)
    fewer = {agent_id: agent for agent_id, agent in AGENTS.items() if agent_id != "1002"}
    started = await Accounts.take_up(file, passwords, fewer, now, hasher=QUICK_HASHER)
    assert [one.username for one in started.all()] == ["1001", "admin", "supervisor"]
    assert [one.username for one in Accounts.load(file, hasher=QUICK_HASHER).all()] == ["1001", "admin", "supervisor"]
    Accounts.write_first(file, passwords, AGENTS, named=("lena",), epoch=7, hasher=QUICK_HASHER)
    assert Accounts.load(file, hasher=QUICK_HASHER).get("lena").epoch == 7  # a session of before is not this one's


async def test_the_built_in_accounts_stay_whatever_the_centre_names(tmp_path):
    file, now = tmp_path / "accounts.json", datetime(2026, 3, 2, tzinfo=UTC)
    passwords = {"supervisor": "a", "admin": "b"}
    Accounts.write_first(file, passwords, AGENTS, named=("supervisor",), hasher=QUICK_HASHER)
    lines = json.loads(file.read_text())
    assert not any(line["of_centre"] for line in lines)
    # A file of before has them as the centre's.
    file.write_text(json.dumps([{**line, "of_centre": True} for line in lines]))
    accounts = await Accounts.take_up(file, passwords, AGENTS, now, hasher=QUICK_HASHER)
    assert {one.username: one.of_centre for one in accounts.all()} == {"admin": False, "supervisor": False}
    assert await accounts.verify("admin", "b")


def test_whom_the_centre_does_not_name_any_more_has_no_queue():
    centre = dataclasses.replace(demo_centre(), supervisors={"mo": (), "lena": (SALES,)}, walls={"hall": ()})

    def scope(name, role=Role.SUPERVISOR, **more):
        return scope_of_account(Account(username=name, role=role, hash="", **more), centre)

    assert scope("gone", of_centre=True) == frozenset()
    assert scope("gone", of_centre=True, queues=("sales",)) == frozenset()
    assert scope("mo", Role.WALL, of_centre=True) == frozenset()
    assert (scope("mo", of_centre=True), scope("hall", Role.WALL, of_centre=True)) == (None, None)
    assert scope("lena", of_centre=True) == {SALES}
    assert (scope("supervisor", of_centre=True), scope("other")) == (None, None)


async def test_an_account_of_a_provider_that_loses_its_line_has_its_own_queues_or_none(tmp_path):
    file, now = tmp_path / "accounts.json", datetime(2026, 3, 2, tzinfo=UTC)
    Accounts.write_first(file, {"admin": "a"}, AGENTS, hasher=QUICK_HASHER)
    accounts = Accounts.load(file, hasher=QUICK_HASHER)
    for name, queues in (("alice", ()), ("otto", ("sales",)), ("other", ())):
        await accounts.put(
            Account(username=name, role=Role.SUPERVISOR, hash="", subject=f"https://id {name}", queues=queues)
        )
    named = {"alice": (SUPPORT,), "otto": (SUPPORT,)}
    with_lines, without = (dataclasses.replace(demo_centre(), supervisors=lines) for lines in (named, {}))

    def scopes(centre):
        return [scope_of_account(accounts.get(name), centre) for name in ("alice", "otto", "other")]

    assert scopes(without) == [None, {SALES}, None]
    await accounts.note_named(file, named)
    assert scopes(with_lines) == [{SUPPORT}, {SALES, SUPPORT}, None]
    assert scopes(without) == [frozenset(), {SALES}, None]
    # The same over a restart, and while the lines are gone.
    accounts = await Accounts.take_up(file, {"admin": "a"}, AGENTS, now, hasher=QUICK_HASHER)
    assert scopes(without) == [frozenset(), {SALES}, None]
    # A line without queues gives all of them again.
    everything = dataclasses.replace(demo_centre(), supervisors={"alice": ()})
    assert scope_of_account(accounts.get("alice"), everything) is None
    # Lines that were there before the account is read are noted at the start.
    started = await Accounts.take_up(file, {"admin": "a"}, AGENTS, now, named=("other",), hasher=QUICK_HASHER)
    assert scope_of_account(started.get("other"), without) == frozenset()
