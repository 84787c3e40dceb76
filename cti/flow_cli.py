"""`cti flow ...`: check flows, draw them, try them in the terminal, play their example dialogues; their versions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from cti.flow_version_cli import versions_app
from cti.settings import load_settings

if TYPE_CHECKING:
    from cti.ivr.flow import Flow
    from cti.ivr.interpreter import Turn
    from cti.ivr.prompt_book import PromptBook
    from cti.model.centre import Centre
    from cti.services.flow_library import FlowLibrary

flow_app = typer.Typer(no_args_is_help=True, help="IVR flows: check, draw, try, test; apply, roll back, drafts.")
flow_app.add_typer(versions_app)

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default .data): one centre each.")]
Config = Annotated[Path | None, typer.Option("--config", envvar="CTI_CONFIG", help="Settings file (TOML).")]
Folder = Annotated[Path | None, typer.Option("--flows", help="Folder of flows; default: the centre's.")]
out = Console()
err = Console(stderr=True)

DIALOGUES = "dialogues"
"""The folder beside the flows that has their example dialogues."""


def _centre_and_folder(data: Path | None, config: Path | None, folder: Path | None) -> tuple[Centre, Path]:
    from cti.centre_file import load_centre
    from cti.places import DEMO_CENTRE, Places

    places = Places(load_settings(config, overrides={"data": str(data)} if data is not None else None))
    return load_centre(places.centre if places.centre.exists() else DEMO_CENTRE), folder or places.flows


def _library(data: Path | None, config: Path | None, folder: Path | None) -> FlowLibrary:
    """The flows that pass; others are told on the error stream. Ends the command when there is none."""
    from cti.services.flow_library import FlowLibrary

    centre, where = _centre_and_folder(data, config, folder)
    library, problems = FlowLibrary.check(where, centre)
    for problem in problems:
        err.print(str(problem), highlight=False, markup=False, soft_wrap=True)
    if library is None:
        raise typer.Exit(1)
    return library


def _flow(library: FlowLibrary, name: str) -> Flow:
    from cti.ids import FlowName

    return library.get(FlowName(name))


@flow_app.command("check")
def check(
    folder: Annotated[Path | None, typer.Argument(help="Folder of flows; default: the centre's.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Check flows before they go live: file:line:column, what is wrong, what to do."""
    from cti.ivr.checker import live
    from cti.services.flow_library import FlowLibrary

    centre, where = _centre_and_folder(data, config, folder)
    library, problems = FlowLibrary.check(where, centre)
    for problem in problems:
        out.print(str(problem), highlight=False, markup=False, soft_wrap=True)
    flows = len(list(library)) if library is not None else 0
    out.print(f"{flows} flow(s) can go live, {len(problems)} problem(s)", highlight=False)
    raise typer.Exit(0 if library is not None and live(problems) else 1)


@flow_app.command("graph")
def graph(
    name: Annotated[str, typer.Argument(help="The flow.")],
    to: Annotated[Path | None, typer.Option("--out", help="File to write; default: <flow>.svg here.")] = None,
    folder: Folder = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Draw a flow as an SVG picture."""
    from cti.ivr.drawing import draw, svg

    flow = _flow(_library(data, config, folder), name)
    file = to or Path(f"{flow.name}.svg")
    file.write_text(svg(draw(flow)), encoding="utf-8")
    out.print(f"written to {file}", highlight=False, markup=False, soft_wrap=True)


@flow_app.command("try")
def try_out(
    name: Annotated[str, typer.Argument(help="The flow.")],
    language: Annotated[str, typer.Option(help="The caller's language; default: the flow's first.")] = "",
    tier: Annotated[str, typer.Option(help="Play a customer of this tier; default: a stranger.")] = "",
    closed: Annotated[list[str] | None, typer.Option(help="A calendar that is closed.")] = None,
    keys: Annotated[str, typer.Option(help='Keys instead of asking: "." waits, "!" hangs up.')] = "",
    folder: Folder = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Play a flow in the terminal: what is said, and a question whenever the caller could press a key."""
    from cti.ivr import effects as e
    from cti.ivr.prompt_book import with_texts
    from cti.ivr.rehearsal import World, rehearse, scripted
    from cti.model.facts import Match

    library = _library(data, config, folder)
    flow = _flow(library, name)
    book = with_texts(library.prompts, library)
    customer = e.LookedUp(match=Match.FOUND, tier=tier, name="Zoë") if tier else e.LookedUp(match=Match.UNKNOWN)
    typed = _typed()
    press = scripted(keys) if keys else lambda effect: _ask(effect, typed)
    rehearsal = rehearse(
        flow,
        press,
        world=World(customer=customer, closed=frozenset(closed or ()), flows={one.name: one for one in library}),
        language=language or flow.languages[0],
        watch=lambda turn: _tell(turn, book),
    )
    out.print(f"  ends: {rehearsal.ended}", style="bold", highlight=False, markup=False, soft_wrap=True)


def _tell(turn: Turn, book: PromptBook) -> None:
    from cti.ivr import effects as e

    for trace in turn.traces:
        chosen = f' "{trace.choice}"' if trace.choice else ""
        out.print(
            f"  {trace.step} ({trace.verb}) -> {trace.exit}{chosen}",
            style="dim",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    match turn.effect:
        case e.Play():
            for sound in turn.effect.sounds:
                text = book.prompts.get(sound.name, {}).get(sound.language)
                said = text.text if text is not None else sound.name
                out.print(f"[{sound.language}] {said}", style="cyan", highlight=False, markup=False, soft_wrap=True)
        case (
            e.Record()
            | e.AskCallback()
            | e.SendTo()
            | e.SendToAgent()
            | e.KeepScore()
            | e.RunScript()
            | e.CallFunction()
        ):
            out.print(f"  {_asked_for(turn.effect)}", style="dim", highlight=False, markup=False, soft_wrap=True)
        case e.Enqueue():
            out.print(
                f"  a place in the queue {turn.effect.queue}",
                style="dim",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )


def _asked_for(effect: object) -> str:
    """What a flow does besides speaking, in a few words."""
    from cti.ivr import effects as e

    match effect:
        case e.Record():
            return f"(beep) the caller speaks: a {effect.kind}"
        case e.AskCallback():
            return f"a callback by {effect.queue}"
        case e.SendTo():
            return f"on to {effect.target.kind.value} {effect.target.name}".rstrip()
        case e.SendToAgent():
            return f"on to the agent {effect.agent}"
        case e.KeepScore():
            return f"{effect.question}: {effect.score}"
        case e.RunScript():
            return f"the script {effect.script} (here it fails: nothing runs it)"
        case e.CallFunction():
            return f"the function {effect.function} (here it fails: nothing runs it)"
        case _:
            return ""


def _typed() -> Iterator[str]:
    """Keys as they are typed, line by line: an empty line waits, the end of the input hangs up."""
    for line in sys.stdin:
        yield from line.strip() or "."
    yield "!"


def _ask(effect: object, typed: Iterator[str]) -> str:
    from cti.ivr import effects as e

    if isinstance(effect, e.AwaitDigit):
        out.print(f"  key? (Enter waits {effect.timeout.total_seconds():g} s, ! hangs up) ", end="", style="bold")
        return next(typed)
    return "."


@flow_app.command("test")
def play_dialogues(folder: Folder = None, data: Data = None, config: Config = None) -> None:
    """Play the example dialogues kept beside the flows (folder `dialogues`) and tell what came out otherwise."""
    from cti.errors import ConfigError
    from cti.ivr.dialogues import differences, parse_dialogues, play

    library = _library(data, config, folder)
    files = sorted((library.folder / DIALOGUES).glob("*.yaml"))
    played = wrong = 0
    for file in files:
        read = parse_dialogues(file.read_text(encoding="utf-8"), str(file))
        if isinstance(read, list):
            wrong += len(read)
            for problem in read:
                out.print(str(problem), highlight=False, markup=False, soft_wrap=True)
            continue
        try:
            flow = library.get(read.flow)
        except ConfigError as error:
            wrong += 1
            out.print(f"{file}:1:1: {error.message}", highlight=False, markup=False, soft_wrap=True)
            continue
        for dialogue in read.dialogues:
            played += 1
            found = differences(dialogue, play(flow, dialogue, {one.name: one for one in library}), str(file))
            wrong += len(found)
            for problem in found:
                out.print(str(problem), highlight=False, markup=False, soft_wrap=True)
    out.print(f"{played} dialogue(s) in {len(files)} file(s), {wrong} problem(s)", highlight=False)
    raise typer.Exit(1 if wrong else 0)


@flow_app.command("schema")
def schema(
    to: Annotated[Path | None, typer.Option("--out", help="File to write; default: the standard output.")] = None,
) -> None:
    """Print the JSON Schema of flow files, for editors."""
    import json

    from cti.ivr.schema import flow_schema

    text = json.dumps(flow_schema(), indent=2) + "\n"
    if to is None:
        sys.stdout.write(text)
    else:
        to.write_text(text, encoding="utf-8")
        out.print(f"written to {to}", highlight=False, markup=False, soft_wrap=True)
