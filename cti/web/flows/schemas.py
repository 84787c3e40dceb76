"""Flows on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from cti.web.operations import Answer, Params


class FlowRow(Answer):
    """A flow that is live, or (`version` empty) of which there is only a draft."""

    flow: str
    title: str
    version: str
    languages: tuple[str, ...]
    steps: int
    draft: str = ""
    """The version that callers of the test numbers hear; empty: there is no draft."""
    since: datetime | None = None
    """When the live version became live."""
    by: str = ""
    """Who took it live; empty: found at a start."""


class FlowList(Answer):
    """The live flows, by name."""

    flows: list[FlowRow]


class FlowParams(Params):
    """Names a flow."""

    flow: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class FlowPeriod(Params):
    """The time that is counted: `from` <= then < `to`; without them, today."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    since: AwareDatetime | None = Field(default=None, alias="from")
    until: AwareDatetime | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("from must be before to")
        return self


class PictureQuery(FlowPeriod):
    """With `version`, that version is drawn, without counts unless it is the live one."""

    version: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")] = ""


class ExitRow(Answer):
    """One way out of a step, how it is called, and how many calls took it."""

    exit: str
    label: str
    to: str
    calls: int


class StepRow(Answer):
    """One step: how many calls came, how many hung up in it, and where the others went."""

    step: str
    verb: str
    came: int
    gone: int
    exits: list[ExitRow]


class FlowDetail(Answer):
    """A flow and what calls did in it, steps in the order of its text."""

    flow: str
    title: str
    version: str
    steps: list[StepRow]
