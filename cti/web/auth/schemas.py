"""What goes in and out at log-in."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cti.web.auth.permissions import Role
from cti.web.operations import Answer, Body


class Credentials(Body):
    """A user name (an agent's is the extension) and its password."""

    username: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=256)]


class User(Answer):
    """Who is logged in. `agent_id` is set for agents; `language` is a language of the centre."""

    username: str
    role: Role
    agent_id: str | None
    name: str
    language: str


class LoggedIn(Answer):
    """The token is for programs (`Authorization: Bearer`); browsers have the cookie."""

    token: str
    user: User


class Me(Answer):
    """Who is asking."""

    user: User
