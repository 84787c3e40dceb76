"""Example dialogues kept beside the flows: what a caller does, and what must come of it.

    flow: main
    dialogues:
      - name: A customer of ours chooses sales in Chinese
        customer: {match: found, tier: gold, language: zh}
        keys: "2"
        heard: [zh/welcome, ...]
        steps: [who.found, known.choice, sales.queued]
        ends: queue sales

In `keys` a telephone key is pressed, "." lets the prompt or the wait run out, "!" hangs up. What is not given is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

from cti.ids import FlowName
from cti.ivr import effects as e
from cti.ivr.document import Listing, Node, Scalar, Table, read_document
from cti.ivr.flow import Flow
from cti.ivr.problems import Position, Problem
from cti.ivr.reading import Fields, Findings
from cti.ivr.rehearsal import Rehearsal, World, rehearse, scripted
from cti.model.facts import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """One example."""

    name: str
    at: Position
    world: World = field(default_factory=World)
    language: str = ""
    keys: str = ""
    heard: tuple[str, ...] | None = None
    """The sounds, `language/name`, in order."""
    steps: tuple[str, ...] | None = None
    """The way, `step.exit`."""
    ends: str = ""
    """`queue NAME`, `agent NAME`, `voicemail`, `number NUMBER`, `hang_up` or `gone`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogues:
    """The examples of one flow."""

    flow: FlowName
    file: str
    dialogues: tuple[Dialogue, ...]


def parse_dialogues(text: str, file: str) -> Dialogues | list[Problem]:
    """Read a file of dialogues. Never raises."""
    document = read_document(text, file)
    if isinstance(document, Problem):
        return [document]
    findings = Findings(file)
    if not isinstance(document, Table):
        findings.note(document.at, "shape", "not a table", "begin with `flow: <name>` and `dialogues:`")
        return findings.problems
    fields = Fields(document, "dialogues", findings)
    flow = fields.word("flow", required="name the flow: `flow: main`")
    node = fields.node("dialogues")
    if not isinstance(node, Listing) or not node.items:
        fields.wrong(fields.at, '"dialogues" must be a list', "write one `- name: ..` for each", "shape")
        rows: tuple[Node, ...] = ()
    else:
        rows = node.items
    fields.finish()
    found = [_dialogue(row, findings) for row in rows]
    if findings.problems:
        return sorted(findings.problems, key=lambda problem: problem.at)
    return Dialogues(flow=FlowName(flow.text), file=file, dialogues=tuple(one for one in found if one is not None))


def play(flow: Flow, dialogue: Dialogue, flows: Mapping[FlowName, Flow] = MappingProxyType({})) -> Rehearsal:
    """Play one example. `flows` are those it may call."""
    language = dialogue.language or flow.languages[0]
    world = replace(dialogue.world, flows=flows)
    return rehearse(flow, scripted(dialogue.keys), world=world, language=language)


def differences(dialogue: Dialogue, rehearsal: Rehearsal, file: str) -> list[Problem]:
    """What came out otherwise than the example says, in plain words."""
    wrong = []
    checks = (
        ("the way", dialogue.steps, tuple(rehearsal.exits)),
        ("what is heard", dialogue.heard, tuple(rehearsal.heard)),
        ("the end", dialogue.ends or None, rehearsal.ended),
    )
    for what, wanted, got in checks:
        if wanted is None or wanted == got:
            continue
        if isinstance(wanted, tuple) and isinstance(got, tuple):
            same = next(
                (n for n, (a, b) in enumerate(zip(wanted, got, strict=False)) if a != b), min(len(wanted), len(got))
            )
            shown, right = _from(got, same), _from(wanted, same)
        else:
            shown, right = str(got), str(wanted)
        message = f'dialogue "{dialogue.name}": {what} is {shown}, and {right} was expected'
        remedy = "mend the flow, or the example if this is what is wanted"
        wrong.append(Problem(file=file, at=dialogue.at, code="dialogue", message=message, remedy=remedy))
    return wrong


def _from(parts: tuple[str, ...], first: int) -> str:
    shown = ", ".join(parts[first : first + 4]) or "nothing more"
    return shown if first == 0 else f"(after {first} as expected) {shown}"


def _dialogue(row: Node, findings: Findings) -> Dialogue | None:
    if not isinstance(row, Table):
        findings.note(row.at, "shape", "a dialogue is a table", "write `- name: ..` and its keys")
        return None
    fields = Fields(row, "dialogue", findings)
    name = fields.scalar("name", required="give it a name for people: `name: ..`")
    keys = fields.scalar("keys")
    if keys is not None and set(keys.text) - set(e.ALL_KEYS + ".!"):
        fields.wrong(keys.at, "not telephone keys", 'use 0-9, * and #, "." to wait and "!" to hang up')
    number, did = fields.scalar("number"), fields.scalar("did")
    language, ends = fields.scalar("language"), fields.scalar("ends")
    world = World(customer=_customer(fields), closed=frozenset(fields.words("closed") or ()))
    if (when := fields.scalar("when")) is not None:
        try:
            world = replace(world, local=datetime.fromisoformat(when.text).replace(tzinfo=UTC))
        except ValueError:
            fields.wrong(when.at, f'"{when.text}" is not a time', 'write `when: "2026-03-02 14:30"`')
    world = replace(
        world,
        services={key.text: _answer(key, node, fields) for key, node in fields.rows("services")},
        functions={key.text: _answer(key, node, fields) for key, node in fields.rows("functions")},
        scripts={
            key.text: _one_of(key, node, fields, ("done", "failed", "overdue")) for key, node in fields.rows("scripts")
        },
        number=_what(fields, "number_dialled", ("answered", "busy", "no_answer", "failure")),
        agent=_what(fields, "agent_asked", ("answered", "busy", "no_answer", "unknown")),
        recording=_what(fields, "recording", ("recorded", "empty", "failure")),
        callback=_what(fields, "callback", ("done", "not_possible")) == "done",
    )
    known = {**world.known, "caller.number": number.text if number else "", "call.did": did.text if did else ""}
    found = Dialogue(
        name=name.text if name else "",
        at=row.at,
        world=replace(world, known=known),
        language=language.text if language else "",
        keys=keys.text if keys else "",
        heard=fields.words("heard"),
        steps=fields.words("steps"),
        ends=ends.text if ends else "",
    )
    fields.finish()
    return found


def _customer(fields: Fields) -> e.LookedUp:
    node = fields.node("customer")
    if node is None:
        return e.LookedUp(match=Match.UNKNOWN)
    if isinstance(node, Scalar):
        node = Table(((Scalar("match", node.at), node),), node.at)
    if not isinstance(node, Table):
        fields.wrong(node.at, '"customer" must be a table', "write `customer: {match: found, tier: vip}`", "shape")
        return e.LookedUp(match=Match.UNKNOWN)
    inner = Fields(node, f"{fields.what}, customer", fields.findings)
    match = inner.scalar("match", required="say what the look-up gives: `match: found`")
    tier, language, name = inner.scalar("tier"), inner.scalar("language"), inner.scalar("name")
    inner.finish()
    known = {one.value for one in Match}
    if match is None or match.text not in known:
        if match is not None:
            inner.wrong(match.at, f'"{match.text}" is no answer of a look-up', f"use one of {', '.join(sorted(known))}")
        return e.LookedUp(match=Match.UNKNOWN)
    return e.LookedUp(
        match=Match(match.text),
        tier=tier.text if tier else "",
        language=language.text if language else "",
        name=name.text if name else "",
    )


_W = TypeVar("_W", bound=str)


def _what(fields: Fields, key: str, words: tuple[_W, ...]) -> _W:
    """One of these words; the first where nothing is written."""
    found = fields.scalar(key)
    return words[0] if found is None else _one_of(Scalar(key, found.at), found, fields, words)


def _one_of(key: Scalar, node: Node, fields: Fields, words: tuple[_W, ...]) -> _W:
    word = next((word for word in words if isinstance(node, Scalar) and node.text == word), None)
    if word is None:
        fields.wrong(node.at, f'"{key.text}" must be one of {", ".join(words)}', f"write `{key.text}: {words[0]}`")
    return word or words[0]


def _answer(key: Scalar, node: Node, fields: Fields) -> e.ServiceAnswered:
    """What a service answers: `failed`, `not_found`, or the values of its JSON."""
    if isinstance(node, Scalar) and node.text in ("failed", "not_found"):
        return e.ServiceAnswered(status="not_found" if node.text == "not_found" else "failed")
    if isinstance(node, Table):
        return e.ServiceAnswered(status="ok", body=_plain(node))
    fields.wrong(node.at, f'"{key.text}" has no answer', "write `failed`, `not_found` or `{status: shipped}`", "shape")
    return e.ServiceAnswered(status="failed")


def _plain(node: Node) -> Any:
    if isinstance(node, Table):
        return {key.text: _plain(value) for key, value in node.entries}
    if isinstance(node, Listing):
        return [_plain(item) for item in node.items]
    return {"true": True, "false": False}.get(node.text, node.text) if not node.quoted else node.text
