from datetime import timedelta

import pytest
from itsdangerous import URLSafeSerializer

from cti.web.auth.accounts import Account, Accounts
from cti.web.auth.permissions import Role
from cti.web.auth.sessions import LIFETIME, Sessions
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


def test_the_role_is_looked_up_at_every_request(tmp_path):
    clock = StandingClock()
    token, _ = sessions(tmp_path, clock, account()).create(account())
    now_admin = sessions(tmp_path, clock, account(role=Role.ADMIN))
    assert now_admin.read(token).account.role is Role.ADMIN


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

    signer = URLSafeSerializer("k", salt="cti-session-1", signer_kwargs={"digest_method": hashlib.sha256})
    assert sessions(tmp_path, StandingClock(), account()).read(signer.dumps(said)) is None
