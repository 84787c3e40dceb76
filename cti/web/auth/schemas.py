"""What goes in and out at log-in, and of what accounts have besides a password."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from cti.web.auth.permissions import Role
from cti.web.operations import Answer, Body

Password = Annotated[str, Field(max_length=256)]
Code = Annotated[str, Field(max_length=32)]


class Credentials(Body):
    """A user name (an agent's is the extension) and its password. `code`: six digits of the second factor, or a recovery
    code, where the account has one."""

    username: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]
    code: Code = ""


class User(Answer):
    """Who is logged in. `agent_id` is set for agents; `language` is a language of the centre."""

    username: str
    role: Role
    agent_id: str | None
    name: str
    language: str


class LoggedIn(Answer):
    """The token is for programs (`Authorization: Bearer`); browsers have the cookie. `must_enrol`: the account needs a
    second factor, and can do nothing but set one up."""

    token: str
    user: User
    must_enrol: bool = False


class Me(Answer):
    """Who is asking."""

    user: User
    must_enrol: bool = False


class Provider(Answer):
    """Where else one may log in: what the button says, and the address to open."""

    label: str
    path: str


class LoginWays(Answer):
    """How one may log in."""

    provider: Provider | None


class SessionRow(Answer):
    """One log-in of one's own. `browser` is what it calls itself; `current` is the one that asks."""

    session_id: str
    began_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    browser: str
    current: bool


class Security(Answer):
    """How one's own account is kept safe."""

    has_password: bool
    second_factor: bool
    second_factor_since: datetime | None
    second_factor_required: bool
    recovery_codes_left: int
    sessions: list[SessionRow]


class Again(Body):
    """Who asks, once more. An account that logs in elsewhere gives no password; without a second factor there is no code."""

    password: Password = ""
    code: Code = ""


class NewPassword(Again):
    """The next password."""

    new_password: Annotated[str, Field(min_length=10, max_length=256)]


class Enrolment(Answer):
    """The seed for an authenticator: as text, as an otpauth address, and as a picture of it (SVG in a data address)."""

    seed: str
    address: str
    picture: str


class Shown(Body):
    """The code that the authenticator shows now."""

    code: Code


class RecoveryCodes(Answer):
    """Each opens once in place of a code. Nobody can show them again."""

    codes: list[str]


class AccountRow(Answer):
    """One account, for administrators."""

    username: str
    role: Role
    name: str
    has_password: bool
    second_factor: bool


class AccountList(Answer):
    """All accounts."""

    accounts: list[AccountRow]


class TokenRow(Answer):
    """A token, without the token. `queues`: only these; none: all of its account's."""

    token_id: str
    name: str
    username: str
    role: Role
    scopes: list[str]
    queues: list[str]
    made_at: datetime
    made_by: str
    expires_at: datetime
    last_used_at: datetime | None
    works: bool


class TokenList(Answer):
    """One's own tokens; an administrator's are everybody's. `scopes` are those there are."""

    tokens: list[TokenRow]
    scopes: list[str]
    longest_days: int


class NewToken(Again):
    """What the token is called, may do, and for how long. `username`: for somebody else, by an administrator."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    scopes: Annotated[list[str], Field(min_length=1, max_length=100)]
    queues: Annotated[list[str], Field(default_factory=list, max_length=500)]
    days: Annotated[int, Field(ge=1, le=3650)] = 90
    username: Annotated[str, Field(max_length=64)] = ""


class MadeToken(Answer):
    """The token itself, this once."""

    token: str
    row: TokenRow
