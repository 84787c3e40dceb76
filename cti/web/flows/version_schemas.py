"""Versions of flows on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from cti.web.operations import Answer, Body, Params

TEXTS_LIMIT = 4 * 1024 * 1024
"""Bytes of a request that brings texts of flows."""
LONGEST_TEXT = 200_000

FlowWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
VersionWord = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Note = Annotated[str, Field(max_length=500)]
Who = Annotated[str, Field(max_length=100)]


class VersionParams(Params):
    """Names a version of a flow."""

    flow: FlowWord
    version: VersionWord


class DiffQuery(Params):
    """Two versions."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    before: VersionWord = Field(alias="from")
    after: VersionWord = Field(alias="to")


class FlowText(Body):
    """A text of a flow. `expected`: the live version it was made from, empty for a flow that is not live."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=LONGEST_TEXT)

    flow: FlowWord
    text: str
    expected: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")]


class ApplyFlows(Body):
    """Texts that go live together. `by`: who wanted it, where that is somebody else than who logged in."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=LONGEST_TEXT)

    flows: Annotated[tuple[FlowText, ...], Field(min_length=1, max_length=100, strict=False)]
    note: Note = ""
    by: Who = ""


class CandidateText(Body):
    """A text of a flow that is only looked at."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=LONGEST_TEXT)

    flow: FlowWord
    text: str


class CheckFlows(Body):
    """Texts to be checked together; with `draft`, beside the drafts."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=LONGEST_TEXT)

    flows: Annotated[tuple[CandidateText, ...], Field(min_length=1, max_length=100, strict=False)]
    draft: bool = False


class RollBack(Body):
    """Back to a version; without one, to that before the present one. `expected`: the live version as seen."""

    version: VersionWord | None = None
    expected: Annotated[str, Field(pattern=r"^([0-9a-f]{12})?$")]
    note: Note = ""
    by: Who = ""


class RemoveFlow(Body):
    """Takes a flow away. `expected`: the live version as seen."""

    expected: VersionWord
    note: Note = ""
    by: Who = ""


class DraftBody(Body):
    """A text that test calls are to hear."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=LONGEST_TEXT)

    text: str
    note: Note = ""
    by: Who = ""


class FlowProblem(Answer):
    """`severity` is "error" or "warning"; `file` is `<flow>.yaml`, or the manifest of prompts."""

    file: str
    line: int
    column: int
    severity: str
    code: str
    message: str
    remedy: str


class CheckedFlows(Answer):
    """Everything that is wrong; with no error among them the texts could go live, once their prompts have sounds."""

    problems: tuple[FlowProblem, ...]


class ChangeRow(Answer):
    """One change of a flow. `action`: applied, rolled_back, removed, drafted, withdrawn. No `by`: found at a start."""

    edition: int
    at: datetime
    action: str
    version: str
    by: str
    note: str
    together: tuple[str, ...]
    """Other flows that were changed with it."""


class Versions(Answer):
    """A flow's changes, newest first. `version` (live) and `draft` are empty when there is none."""

    flow: str
    version: str
    draft: str
    former: str
    """What a roll-back without a version goes to; empty: there is nothing."""
    test_numbers: tuple[str, ...]
    changes: tuple[ChangeRow, ...]


class VersionText(Answer):
    """The text of a version."""

    flow: str
    version: str
    text: str


class VersionDiff(Answer):
    """What is different: in words, step by step, and as a unified diff."""

    flow: str
    before: str
    after: str
    steps: tuple[str, ...]
    text: str


class FlowsApplied(Answer):
    """It is in effect for calls that begin now. `flows`: flow -> version; empty when everything was so already."""

    edition: int
    flows: dict[str, str]
    changes: tuple[str, ...]
    warnings: tuple[FlowProblem, ...]
