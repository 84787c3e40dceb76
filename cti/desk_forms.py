"""What centre.yaml says about agents' desks, as forms: dispositions as a tree, scripts, knowledge, outside customer systems."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from cti.form_types import DisplayName, Form, Name
from cti.model.desk import Disposition, Knowledge, QueueDesk
from cti.model.outside_crm import CrmEventKind, Opens, OutsideCrm, Webhook, template_trouble

Script = Annotated[str, StringConstraints(max_length=8000)]
WebAddress = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"'\\]+$", max_length=2000)]
DEEPEST = 3
USUAL: list[str | DispositionForm] = ["resolved", "follow_up", "wrong_number", "other"]


class DispositionForm(Form):
    """One disposition, or a heading with others under it."""

    name: Name
    titles: dict[str, DisplayName] = {}
    of: list[Name | DispositionForm] = Field(default=[], max_length=50)


class KnowledgeForm(Form):
    """A page to look things up in."""

    titles: dict[str, DisplayName] = Field(min_length=1)
    url: WebAddress


class DeskForm(Form):
    """The part of a queue's table that agents have on their desk."""

    dispositions: list[Name | DispositionForm] = USUAL
    disposition_required: bool = False
    script: dict[str, Script] = {}
    knowledge: list[KnowledgeForm] = Field(default=[], max_length=50)

    @field_validator("dispositions")
    @classmethod
    def _each_once(cls, value: list[str | DispositionForm]) -> list[str | DispositionForm]:
        names = list(_names(value))
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)}: each name can stand in the tree once")
        if _depth(value) > DEEPEST:
            raise ValueError(f"the tree may be {DEEPEST} levels deep")
        return value


def _names(rows: list[str | DispositionForm]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, str):
            yield row
        else:
            yield row.name
            yield from _names(row.of)


def _depth(rows: list[str | DispositionForm]) -> int:
    return max((1 if isinstance(row, str) else 1 + _depth(row.of) for row in rows), default=0)


def _disposition(row: str | DispositionForm) -> Disposition:
    if isinstance(row, str):
        return Disposition(name=row)
    return Disposition(name=row.name, titles=dict(row.titles), of=tuple(map(_disposition, row.of)))


def desk_of(form: DeskForm) -> QueueDesk:
    """The desk a form tells of."""
    return QueueDesk(
        dispositions=tuple(map(_disposition, form.dispositions)),
        required=form.disposition_required,
        script=dict(form.script),
        knowledge=tuple(Knowledge(titles=dict(one.titles), url=one.url) for one in form.knowledge),
    )


def plain_names(form: DeskForm) -> tuple[str, ...]:
    """The dispositions that can be chosen."""
    return tuple(name for row in desk_of(form).dispositions for name in row.leaves())


# ---- outside customer systems


class WebhookForm(Form):
    """Where calls are told of."""

    url: Annotated[
        str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/%?&=-]*)?$", max_length=500)
    ]
    secret_file: Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f]+$")]
    events: list[CrmEventKind] = list(CrmEventKind)
    deadline: Annotated[float, Field(ge=0.1, le=30)] = 5
    give_up: Annotated[float, Field(ge=1, le=86400)] = 900


class CrmForm(Form):
    """Another customer system beside our own file."""

    open_url: Annotated[str, StringConstraints(max_length=500)] = ""
    open: Opens = Opens.BUTTON
    webhook: WebhookForm | None = None
    look_up: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_]{0,31})?$")] = ""
    look_up_first: bool = False
    look_up_keep: Annotated[float, Field(ge=0, le=3600)] = 30

    @field_validator("open_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if value and (trouble := template_trouble(value)):
            raise ValueError(trouble)
        return value


def crm_of(form: CrmForm) -> OutsideCrm:
    """The outside customer system a form tells of."""
    hook = form.webhook
    return OutsideCrm(
        open_url=form.open_url,
        open=form.open,
        webhook=None
        if hook is None
        else Webhook(
            url=hook.url,
            secret_file=hook.secret_file,
            events=tuple(hook.events),
            deadline=timedelta(seconds=hook.deadline),
            give_up=timedelta(seconds=hook.give_up),
        ),
        look_up=form.look_up,
        look_up_first=form.look_up_first,
        look_up_keep=timedelta(seconds=form.look_up_keep),
    )
