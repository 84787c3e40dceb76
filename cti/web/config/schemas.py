"""What goes in and out where the centre's configuration is asked for and changed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from cti.web.operations import Answer, Body

TEXT_LIMIT = 4 * 1024 * 1024
"""Bytes of a request that brings a configuration: some 30,000 agents."""


class TextBody(Body):
    """A configuration: the text of a centre.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=TEXT_LIMIT)

    text: str


class ApplyBody(TextBody):
    """A configuration to be taken up. `by` says who wanted it, where that is somebody else than who logged in."""

    by: Annotated[str, Field(max_length=100)] = ""


class Config(Answer):
    """What the centre runs on. `version` goes into If-Match when it is changed."""

    text: str
    version: str
    since: datetime
    by: str


class Problem(Answer):
    """`place` is "centre.yaml:line", or the place in a flow that would break."""

    place: str
    message: str


class Checked(Answer):
    """Everything that is wrong; nothing: the text can be applied."""

    problems: tuple[Problem, ...]


class Differences(Answer):
    """What would change, one line each, against the `version` that runs."""

    version: str
    changes: tuple[str, ...]


class NewLogin(Answer):
    """A log-in that was made."""

    username: str
    password: str


class AppliedConfig(Answer):
    """It is in effect. `notes`: what is left for a person to do, or to know."""

    version: str
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    logins: tuple[NewLogin, ...]
