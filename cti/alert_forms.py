"""What centre.yaml says about alerts and targets, as forms."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator, model_validator

from cti.form_types import Form, Name
from cti.ids import QueueName
from cti.model.alerts import LESS_IS_WORSE, OF_QUEUES, AlertRules, Figure, Threshold
from cti.model.outside_crm import Webhook

Amount = Annotated[float, Field(ge=0, le=86400)]


class TargetFigure(StrEnum):
    """Figures of the centre's day that have a target."""

    SERVICE_LEVEL = "service_level"
    ABANDONED = "abandoned"
    LONGEST_WAIT = "longest_wait"
    SATISFACTION = "satisfaction"
    COMPLAINT_RATE = "complaint_rate"
    EFFECTIVE_ANSWER_RATE = "effective_answer_rate"


class ThresholdForm(Form):
    """When a figure is bad."""

    warn: Amount | None = None
    critical: Amount | None = None
    back: Amount = 0
    hold: Annotated[float, Field(ge=0, le=3600)] = 10

    @model_validator(mode="after")
    def _one_at_least(self) -> ThresholdForm:
        if self.warn is None and self.critical is None:
            raise ValueError("give warn, critical, or both")
        return self


class AlertWebhookForm(Form):
    """Who is told of alerts."""

    url: Annotated[
        str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/%?&=-]*)?$", max_length=500)
    ]
    secret_file: Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f]+$")]
    deadline: Annotated[float, Field(ge=0.1, le=30)] = 5
    give_up: Annotated[float, Field(ge=1, le=86400)] = 900


def _in_order(figures: dict[Figure, ThresholdForm]) -> dict[Figure, ThresholdForm]:
    for figure, one in figures.items():
        if one.warn is None or one.critical is None:
            continue
        if one.critical > one.warn if figure in LESS_IS_WORSE else one.critical < one.warn:
            side = "above" if figure in LESS_IS_WORSE else "below"
            raise ValueError(f"{figure.value}: critical lies {side} warn, where it is better")
    return figures


def _of_queues(figures: dict[Figure, ThresholdForm]) -> dict[Figure, ThresholdForm]:
    for figure in figures:
        if figure not in OF_QUEUES:
            raise ValueError(f"{figure.value} is a figure of the whole centre: put it under centre")
    return _in_order(figures)


class AlertsForm(Form):
    """When the floor is to be looked at."""

    centre: dict[Figure, ThresholdForm] = {}
    each_queue: dict[Figure, ThresholdForm] = {}
    queues: dict[Name, dict[Figure, ThresholdForm]] = {}
    webhook: AlertWebhookForm | None = None

    @field_validator("centre")
    @classmethod
    def _centre(cls, value: dict[Figure, ThresholdForm]) -> dict[Figure, ThresholdForm]:
        return _in_order(value)

    @field_validator("each_queue")
    @classmethod
    def _each(cls, value: dict[Figure, ThresholdForm]) -> dict[Figure, ThresholdForm]:
        return _of_queues(value)

    @field_validator("queues")
    @classmethod
    def _queues(cls, value: dict[str, dict[Figure, ThresholdForm]]) -> dict[str, dict[Figure, ThresholdForm]]:
        for figures in value.values():
            _of_queues(figures)
        return value


def _thresholds(figures: dict[Figure, ThresholdForm]) -> dict[Figure, Threshold]:
    return {
        figure: Threshold(warn=one.warn, critical=one.critical, back=one.back, hold=timedelta(seconds=one.hold))
        for figure, one in figures.items()
    }


def alerts_of(form: AlertsForm) -> AlertRules:
    """The rules a form tells of."""
    hook = form.webhook
    return AlertRules(
        centre=_thresholds(form.centre),
        each_queue=_thresholds(form.each_queue),
        queues={QueueName(name): _thresholds(figures) for name, figures in form.queues.items()},
        webhook=None
        if hook is None
        else Webhook(
            url=hook.url,
            secret_file=hook.secret_file,
            deadline=timedelta(seconds=hook.deadline),
            give_up=timedelta(seconds=hook.give_up),
        ),
    )
