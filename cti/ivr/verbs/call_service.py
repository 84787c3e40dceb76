"""call_service: ask an HTTP service of the centre, and keep parts of its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, TypedDict

from cti.ivr.document import Scalar
from cti.ivr.effects import (
    ALL_KEYS,
    CallFunction,
    CallService,
    ClockSeen,
    Heard,
    LookAtClock,
    Play,
    Result,
    ServiceAnswered,
)
from cti.ivr.expression import LARGEST, LONGEST_TEXT, Kind, Value
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target, Written
from cti.ivr.names import clock_values, needs_clock
from cti.ivr.problems import Position
from cti.ivr.reading import WORD, Fields

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.([A-Za-z_][A-Za-z0-9_]*|[0-9]{1,4}))*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A part of the answer: where it is (`order.items.0.price`), of what type, under which name."""

    name: str
    kind: Kind
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking(Memo):
    """The service is being asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Step):
    """Say something meanwhile, ask, keep. Every way it can go wrong has the exit `failure`; a 404 is `not_found`."""

    verb: ClassVar[str] = "call_service"
    giving: ClassVar[frozenset[str]] = frozenset({"done"})

    service: str
    service_at: Position
    say: tuple[Spoken, ...]
    send: tuple[Written, ...]
    keep: tuple[Kept, ...]
    go: Target
    not_found: Target
    failure: Target

    def enter(self, scene: Scene) -> Move:
        """Announce the wait; a key skips that and means nothing else."""
        if self.say:
            return Perform(
                effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=replace(scene, typed="")
            )
        return self._prepare(scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Announced, the time, or the answer."""
        if isinstance(memo, Asking) and isinstance(result, ServiceAnswered):
            return self._keep(scene, result)
        if memo is None and isinstance(result, Heard):
            return self._prepare(scene)
        if memo is None and isinstance(result, ClockSeen):
            return self._ask(scene, clock_values(result.local))
        raise self.confused(result)

    def _prepare(self, scene: Scene) -> Move:
        if needs_clock(written.tree for written in self.send):
            return Perform(effect=LookAtClock(), scene=scene)
        return self._ask(scene, {})

    def _ask(self, scene: Scene, clock: Mapping[str, Value]) -> Move:
        values: dict[str, Value] = {}
        for written in self.send:
            value = scene.compute(written.tree, clock)
            if value is None:
                return Leave(exit="failure", scene=scene, to=self.failure.step)
            values[written.gives] = value
        return Perform(effect=self.asking(values), scene=scene, memo=Asking())

    def asking(self, values: Mapping[str, Value]) -> CallService | CallFunction:
        """The question."""
        return CallService(service=self.service, values=values)

    def _keep(self, scene: Scene, answer: ServiceAnswered) -> Leave:
        if answer.status == "not_found":
            return Leave(exit="not_found", scene=scene, to=self.not_found.step)
        values = dict(scene.values)
        for kept in self.keep:
            value = _value(answer.body, kept) if answer.status == "ok" else None
            if value is None:
                return Leave(exit="failure", scene=scene, to=self.failure.step)
            values[kept.name] = value
        if answer.status != "ok":
            return Leave(exit="failure", scene=scene, to=self.failure.step)
        return Leave(exit="done", scene=replace(scene, values=values), to=self.go.step)

    def exits(self) -> tuple[Exit, ...]:
        """Answered, not there, failed."""
        return tuple(
            Exit(name=name, target=target, silent=True)
            for name, target in (("done", self.go), ("not_found", self.not_found), ("failure", self.failure))
        )

    def spoken(self) -> tuple[Spoken, ...]:
        """What is said meanwhile."""
        return self.say

    def expressions(self) -> tuple[Written, ...]:
        """What is sent. The names it is sent under are the service's, not the flow's."""
        return tuple(replace(written, gives="") for written in self.send)

    def gives(self) -> Mapping[str, Kind | None]:
        """What is kept."""
        return {kept.name: kept.kind for kept in self.keep}


def _value(body: Any, kept: Kept) -> Value | None:
    """The part of a JSON answer that is kept; None when it is not there or of another type."""
    for part in kept.path:
        if isinstance(body, Mapping) and part in body:
            body = body[part]
        elif isinstance(body, list) and part.isdigit() and int(part) < len(body):
            body = body[int(part)]
        else:
            return None
    if isinstance(body, bool):
        return body if kept.kind is Kind.FLAG else None
    if kept.kind is Kind.TEXT and isinstance(body, str | int | Decimal | float):
        text = str(body)
        return text if len(text) <= LONGEST_TEXT else None
    if kept.kind is Kind.NUMBER and isinstance(body, str | int | Decimal | float):
        try:
            number = Decimal(str(body))
        except InvalidOperation:
            return None
        return number if number.is_finite() and abs(number) <= LARGEST else None
    return None


def read(name: str, at: Position, fields: Fields) -> Service:
    """Read a `call_service` step."""
    return Service(
        name=name,
        at=at,
        **read_asking("call_service", fields, "name a service of the centre: `call_service: order_status`"),
    )


class Asked(TypedDict):
    """The fields of a step that asks somebody."""

    service: str
    service_at: Position
    say: tuple[Spoken, ...]
    send: tuple[Written, ...]
    keep: tuple[Kept, ...]
    go: Target
    not_found: Target
    failure: Target


def read_asking(verb: str, fields: Fields, remedy: str) -> Asked:
    """What is asked, sent and kept, and the ways out."""
    service = fields.word(verb, required=remedy)
    send: list[Written] = []
    for key, node in fields.rows("send"):
        if isinstance(node, Scalar) and WORD.fullmatch(key.text):
            send.append(fields.expression(node, gives=key.text))
        else:
            fields.wrong(key.at, f'"{key.text}" needs an expression', f"write `{key.text}: 'answer.order'`", "shape")
    keep: list[Kept] = []
    for key, node in fields.rows("keep"):
        words = node.text.split() if isinstance(node, Scalar) else []
        if not WORD.fullmatch(key.text):
            fields.wrong(key.at, f'"{key.text}" is not a name', "use small letters, digits and _")
        elif len(words) != 2 or words[0] not in set(Kind) or not _PATH.fullmatch(words[1]):
            remedy = f"write its type and where it is in the answer: `{key.text}: text order.status`"
            fields.wrong(node.at, f'"{key.text}" needs a type and a place', remedy, "value")
        else:
            keep.append(Kept(name=key.text, kind=Kind(words[0]), path=tuple(words[1].split("."))))
    failure = fields.exit(
        "failure",
        remedy="say where the call goes when the service is slow, wrong or gone: `failure: <step>`",
        code="no_fallback",
    )
    return Asked(
        service=service.text,
        service_at=service.at,
        say=fields.spoken("say"),
        send=tuple(send),
        keep=tuple(keep),
        go=fields.exit("go", remedy="say which step comes next: `go: <step>`"),
        not_found=fields.target("not_found") or failure,
        failure=failure,
    )
