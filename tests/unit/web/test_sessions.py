from datetime import timedelta

import pytest
from itsdangerous import URLSafeSerializer

from cti.web.auth.accounts import Account, Accounts
from cti.web.auth.permissions import Role
from cti.web.auth.sessions import IDLE, LIFETIME, LOCAL, LOCAL_LIFETIME, MOST_PER_ACCOUNT, Sessions
from tests.support.fake_floor import QUICK_HASHER, StandingClock


def account(**fields):
    return Account(**{"username": "x", "role": Role.AGENT, "agent_id": "1001", "hash": "", **fields})


def sessions(tmp_path, clock, *accounts, key="k"):
    known = Accounts({one.username: one for one in accounts}, hasher=QUICK_HASHER)
    return Sessions(known, key=key, revoked_file=tmp_path / "revoked.json", clock=clock)


def test_a_token_says_who_until_it_ends(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    token, session = made.create(account())
    assert made.read(token) == session
    clock.move(LIFETIME)
    assert made.read(token) is None


def test_a_changed_role_ends_the_session(tmp_path):
    clock = StandingClock()
    token, _ = sessions(tmp_path, clock, account()).create(account())
    assert sessions(tmp_path, clock, account(role=Role.ADMIN)).read(token) is None
    token, _ = sessions(tmp_path, clock, account(role=Role.ADMIN)).create(account(role=Role.ADMIN))
    assert sessions(tmp_path, clock, account()).read(token) is None


def test_what_hangs_on_a_session_ends_with_its_role(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    _, session = made.create(account())
    known = {"nonce": session.nonce, "epoch": account().epoch, "ends": int(session.expires.timestamp())}
    assert made.holds(account().username, role=account().role, **known)
    assert not made.holds(account().username, role=Role.ADMIN, **known)


def test_a_session_that_nobody_uses_ends_and_one_in_use_goes_on(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    used, _ = made.create(account())
    idle, _ = made.create(account())
    for _ in range(11):
        clock.move(IDLE - timedelta(seconds=1))
        assert made.read(used)
    assert made.read(idle) is None
    clock.move(IDLE + timedelta(seconds=1))
    assert made.read(used) is None


@pytest.mark.parametrize("odd", [{"e": float("inf")}, {"i": 2**53}, {"x": 10**30}])
def test_a_signed_number_beyond_all_numbers_is_nobodys(tmp_path, odd):
    made = sessions(tmp_path, StandingClock(), account())
    usual = {"u": "x", "r": "agent", "e": account().epoch, "i": 1, "x": 2, "n": "a", "m": "m"}
    assert made.read(made._signer.dumps({**usual, **odd})) is None


async def test_an_idle_session_stays_idle_over_a_restart(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    token, _ = made.create(account())
    await made.keep()
    clock.move(IDLE + timedelta(seconds=1))
    assert sessions(tmp_path, clock, account()).read(token) is None
    assert (tmp_path / "sessions.json").stat().st_mode & 0o777 == 0o600


def test_an_open_page_keeps_its_session(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    token, session = made.create(account())
    for _ in range(11):
        clock.move(timedelta(minutes=59))
        assert made.still(session)
    clock.move(LIFETIME)
    assert not made.still(session)
    assert made.read(token) is None


async def test_one_account_has_so_many_sessions(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    tokens = []
    for _ in range(MOST_PER_ACCOUNT + 3):
        tokens.append(made.create(account())[0])
        clock.move(timedelta(seconds=1))
    assert [made.read(token) is not None for token in tokens] == [False] * 3 + [True] * MOST_PER_ACCOUNT
    await made.keep_evicted()
    assert sessions(tmp_path, clock, account()).read(tokens[0]) is None  # nor after a restart
    assert len(made.of("x")) == MOST_PER_ACCOUNT


async def test_the_others_end_and_this_one_stays(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account(), account(username="y"))
    mine, session = made.create(account())
    other, ended = made.create(account())
    theirs, _ = made.create(account(username="y"))
    assert await made.end_others("x", session.nonce) == (ended.nonce,)
    for known in (made, sessions(tmp_path, clock, account(), account(username="y"))):
        assert (known.read(mine), known.read(theirs)) != (None, None)
        assert known.read(other) is None


def test_what_a_command_makes_with_the_key_is_short_and_not_listed(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    token, _ = made.create(account(), method=LOCAL)
    assert made.read(token)
    assert made.of("x") == []
    clock.move(LOCAL_LIFETIME)
    assert made.read(token) is None


def test_a_changed_password_or_a_deleted_account_ends_sessions(tmp_path):
    clock = StandingClock()
    token, _ = sessions(tmp_path, clock, account()).create(account())
    assert sessions(tmp_path, clock, account(epoch=1)).read(token) is None
    assert sessions(tmp_path, clock).read(token) is None


async def test_revoked_stays_revoked_and_is_forgotten_when_it_would_have_ended(tmp_path):
    clock = StandingClock()
    made = sessions(tmp_path, clock, account())
    token, session = made.create(account())
    await made.revoke(session)
    assert made.read(token) is None
    again = sessions(tmp_path, clock, account())
    assert again.read(token) is None
    clock.move(LIFETIME + timedelta(seconds=1))
    _, session = again.create(account())
    await again.revoke(session)
    assert (tmp_path / "revoked.json").read_text().count(":") == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a":"b"}'])
def test_a_broken_list_of_revoked_does_not_keep_the_server_down(tmp_path, content):
    (tmp_path / "revoked.json").write_text(content)
    made = sessions(tmp_path, StandingClock(), account())
    token, session = made.create(account())
    assert made.read(token) == session


@pytest.mark.parametrize(
    "said", [None, 1, [], {}, {"u": "x"}, {"u": "x", "e": 0, "x": "never", "n": "1"}, {"u": ["x"]}]
)
def test_a_signed_token_of_another_shape_is_none(tmp_path, said):
    import hashlib

    signer = URLSafeSerializer("k", salt="cti-session-2", signer_kwargs={"digest_method": hashlib.sha256})
    assert sessions(tmp_path, StandingClock(), account()).read(signer.dumps(said)) is None
