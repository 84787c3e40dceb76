"""The verbs of the flow language, one file each. A step is of the verb whose name is among its keys."""

from __future__ import annotations

from collections.abc import Callable

from cti.ivr.flow import Step
from cti.ivr.problems import Position
from cti.ivr.reading import Fields
from cti.ivr.verbs import (
    call_service,
    choose_language,
    collect,
    come_back,
    hang_up,
    look_up_customer,
    menu,
    open_hours,
    python,
    queue,
    record,
    request_callback,
    run_script,
    say,
    set_language,
    sub_flow,
    survey,
    transfer,
    voicemail,
    when,
)
from cti.ivr.verbs import set as set_values

ReadStep = Callable[[str, Position, Fields], Step]

VERBS: dict[str, ReadStep] = {
    "call_service": call_service.read,
    "choose_language": choose_language.read,
    "collect": collect.read,
    "hang_up": hang_up.read,
    "look_up_customer": look_up_customer.read,
    "menu": menu.read,
    "open_hours": open_hours.read,
    "python": python.read,
    "queue": queue.read,
    "record": record.read,
    "request_callback": request_callback.read,
    "return": come_back.read,
    "run_script": run_script.read,
    "say": say.read,
    "set": set_values.read,
    "set_language": set_language.read,
    "sub_flow": sub_flow.read,
    "survey": survey.read,
    "transfer": transfer.read,
    "voicemail": voicemail.read,
    "when": when.read,
}
"""Verb -> how a step of it is read."""


def verb_of(keys: list[str]) -> str | None:
    """The verb of a step with these keys. `say` is also a field of other verbs, so it comes last."""
    verbs = [key for key in keys if key in VERBS]
    return next((verb for verb in verbs if verb != "say"), verbs[0] if verbs else None)
