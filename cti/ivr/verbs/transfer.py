"""transfer: connect the caller to an outside number or to one agent; the flow goes on only where nobody takes the call.

Nothing a caller keys in is ever dialled: a number stands in the flow and on the centre's list, and an extension that a caller
keyed in must be one of those the flow names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from cti.ivr.document import Listing, Node, Scalar, Table
from cti.ivr.effects import (
    ALL_KEYS,
    AgentAsked,
    AwaitAgent,
    GoElsewhere,
    Heard,
    NotAnswered,
    Play,
    Result,
    SendTo,
    SendToAgent,
    Sent,
)
from cti.ivr.flow import Exit, Leave, Memo, Move, Perform, Scene, Spoken, Step, Target
from cti.ivr.problems import Position
from cti.ivr.reading import WORD, Fields
from cti.model.centre import Target as Place
from cti.model.centre import TargetKind

OWN = "own"
"""For an extension: the agent who looks after the customer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(Memo):
    """The words before were said; the caller is being sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An extension that stands in the flow, and where."""

    extension: str
    at: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Step):
    """Say something, then out over the trunk, or to wait for one agent. One of `number`, `agent` and `keyed` is set."""

    verb: ClassVar[str] = "transfer"

    number: str = ""
    number_at: Position
    agent: str = ""
    """The extension, or `OWN`."""
    keyed: str = ""
    """The answer that holds an extension the caller keyed in."""
    allow: tuple[Named, ...] = ()
    """Extensions a caller may key in, or the one of `agent`."""
    say: tuple[Spoken, ...]
    busy: Target
    no_answer: Target
    unknown: Target
    failure: Target

    def enter(self, scene: Scene) -> Move:
        """Say it; a key skips that and means nothing else. An extension that is not allowed is unknown at once."""
        scene = replace(scene, typed="")
        if self.keyed and self._extension(scene) is None:
            return Leave(exit="unknown", scene=scene, to=self.unknown.step)
        if not self.say:
            return self._send(scene)
        return Perform(effect=Play(sounds=scene.sounds(self.say), interrupt=ALL_KEYS), scene=scene)

    def take(self, scene: Scene, memo: Memo | None, result: Result) -> Move:
        """Said, sent, or back."""
        if memo is None and isinstance(result, Heard):
            return self._send(scene)
        if isinstance(result, NotAnswered):
            to = {"busy": self.busy, "no_answer": self.no_answer, "failure": self.failure}[result.status]
            return Leave(exit=result.status, scene=scene, to=to.step)
        if isinstance(memo, Sending) and isinstance(result, Sent):
            if result.ok:
                return Leave(exit="sent", scene=scene, ending=GoElsewhere())
            return Leave(exit="failure", scene=scene, to=self.failure.step)
        if isinstance(memo, Sending) and isinstance(result, AgentAsked):
            if result.status == "sent":
                return Leave(exit="sent", scene=scene, ending=AwaitAgent())
            to = {"busy": self.busy, "no_answer": self.no_answer, "unknown": self.unknown}[result.status]
            return Leave(exit=result.status, scene=scene, to=to.step)
        raise self.confused(result)

    def _extension(self, scene: Scene) -> str | None:
        if not self.keyed:
            return self.agent
        keyed = scene.answers.get(self.keyed, "")
        return next((one.extension for one in self.allow if one.extension == keyed), None)

    def _send(self, scene: Scene) -> Move:
        if self.number:
            to = Place(kind=TargetKind.NUMBER, name=self.number)
            return Perform(effect=SendTo(target=to), scene=scene, memo=Sending())
        extension = self._extension(scene)
        if extension is None:
            return Leave(exit="unknown", scene=scene, to=self.unknown.step)
        return Perform(effect=SendToAgent(agent=extension), scene=scene, memo=Sending())

    def exits(self) -> tuple[Exit, ...]:
        """The ways nobody takes the call."""
        ways = [("busy", self.busy), ("no_answer", self.no_answer), ("failure", self.failure)]
        if not self.number:
            ways.insert(2, ("unknown", self.unknown))
        return tuple(Exit(name=name, target=target, silent=True) for name, target in ways)

    def spoken(self) -> tuple[Spoken, ...]:
        """What is said before."""
        return self.say

    def uses(self) -> frozenset[str]:
        """The extension that was keyed in, too."""
        return Step.uses(self) | ({f"answer.{self.keyed}"} if self.keyed else frozenset())


def read(name: str, at: Position, fields: Fields) -> Transfer:
    """Read a `transfer` step: `{number: "+15550100"}`, `{agent: "1003"}`, `{agent: own}`, or `{extension: ext, allow: [..]}`."""
    node = fields.node("transfer")
    number, agent, keyed, allow = _whom(node, fields) if isinstance(node, Table) else (None, None, None, ())
    found = number or agent or keyed
    if found is None:
        remedy = 'write `transfer: {number: "+15550100042"}`, `{agent: "1003"}` or `{agent: own}`'
        fields.wrong(node.at if node is not None else at, '"transfer" needs a number or an agent', remedy, "shape")
        found = Scalar("", at)
    if agent is not None and agent.text != OWN:
        allow = (Named(extension=agent.text, at=agent.at),)
    failure = fields.exit("failure", remedy="say where the call goes when nobody can be reached: `failure: <step>`")
    return Transfer(
        name=name,
        at=at,
        number=number.text if number is not None else "",
        number_at=found.at,
        agent=agent.text if agent is not None else "",
        keyed=keyed.text if keyed is not None else "",
        allow=allow,
        say=fields.spoken("say"),
        busy=fields.target("busy") or failure,
        no_answer=fields.target("no_answer") or failure,
        unknown=fields.target("unknown") or failure,
        failure=failure,
    )


def _whom(node: Table, fields: Fields) -> tuple[Scalar | None, Scalar | None, Scalar | None, tuple[Named, ...]]:
    """(number, agent, answer, extensions allowed); nothing where it is not written as one of the three."""
    keys = {key.text for key, _ in node.entries}
    if keys not in ({"number"}, {"agent"}, {"extension", "allow"}, {"extension"}):
        return None, None, None, ()
    number, agent, keyed = (_scalar(node.get(key)) for key in ("number", "agent", "extension"))
    if keyed is None:
        return number, agent, None, ()
    listed = node.get("allow")
    nodes = listed.items if isinstance(listed, Listing) else ()
    allow = tuple(Named(extension=one.text, at=one.at) for one in nodes if isinstance(one, Scalar))
    if not allow or len(allow) < len(nodes) or not WORD.fullmatch(keyed.text):
        remedy = 'write `transfer: {extension: <answer>, allow: ["1001", "1002"]}`'
        fields.wrong(keyed.at, "an extension that is keyed in must be one of a list", remedy, "no_list")
    return None, None, keyed, allow


def _scalar(node: Node | None) -> Scalar | None:
    return node if isinstance(node, Scalar) and node.text else None
