"""`cti flow apply`, `rollback`, `log`, `diff`, ...: versions of flows, in a running bridge or one that is stopped."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from cti.settings import Settings, load_settings

if TYPE_CHECKING:
    from cti.flow_sides import FlowSide, Told
    from cti.ids import FlowName
    from cti.services.flow_changes import FlowStanding

versions_app = typer.Typer()

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default .data): one centre each.")]
Config = Annotated[Path | None, typer.Option("--config", envvar="CTI_CONFIG", help="Settings file (TOML).")]
Folder = Annotated[Path | None, typer.Option("--flows", help="Folder of flows; default: the centre's.")]
Note = Annotated[str, typer.Option("--note", "-m", help="Why, in a few words.")]
By = Annotated[str, typer.Option("--by", help="Who wants it (default: your user name).")]
Named = Annotated[str, typer.Argument(help="The flow.")]
T = TypeVar("T")
out = Console()


def _settings(data: Path | None, config: Path | None) -> Settings:
    return load_settings(config, overrides={"data": str(data)} if data is not None else None)


def _folder(data: Path | None, config: Path | None, folder: Path | None) -> Path:
    from cti.places import Places

    return folder or Places(_settings(data, config)).flows


def _ask(data: Path | None, config: Path | None, question: Callable[[FlowSide], Awaitable[T]]) -> T:
    from cti.flow_sides import flow_side

    settings = _settings(data, config)

    async def ask() -> T:
        return await question(await flow_side(settings))

    return asyncio.run(ask())


def _line(text: str) -> None:
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def _told(told: Told) -> None:
    for line in (*told.changes, *(f"note: {note}" for note in told.notes)):
        _line(line)
    if not told.flows:
        _line("nothing changed")
    for flow, version in told.flows.items():
        _line(f"{flow}: version {version}")


def _who(by: str) -> str:
    from cti.config_commands import who

    return by or who()


def _candidate(name: str, folder: Path) -> tuple[FlowName, Path, str, str]:
    """A flow by its name (its file in the folder of flows) or by a file: flow, file, text, version it was made from."""
    from cti.centre_versions import base_of
    from cti.ids import FlowName
    from cti.services.flow_library import read_text

    path = Path(name) if "/" in name or name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    text, base = base_of(read_text(path))
    return FlowName(path.stem), path, text, base


def _places(error: str, files: dict[FlowName, Path]) -> str:
    """Texts are called `<flow>.yaml` where they are checked; here they have files."""
    for flow, path in files.items():
        error = "\n".join(
            f"{path}{line.removeprefix(f'{flow}.yaml')}" if line.startswith(f"{flow}.yaml:") else line
            for line in error.splitlines()
        )
    return error


@versions_app.command("apply")
def apply(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FLOW|FILE]...", help="Flows of the folder by name, or files; default: all that differ."
        ),
    ] = None,
    note: Note = "",
    by: By = "",
    draft: Annotated[bool, typer.Option("--draft", help="Take the draft live, instead of the file.")] = False,
    expect: Annotated[
        str, typer.Option("--expect", help="The live version it was made from (default: the one `show` wrote down).")
    ] = "",
    folder: Folder = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Take flows live for calls that begin from now on, all or none. Whoever is in one stays on what they began with."""
    from cti.errors import CtiError
    from cti.ids import FlowName
    from cti.services.flow_library import MANIFEST

    where = _folder(data, config, folder)
    files: dict[FlowName, Path] = {}

    async def do(side: FlowSide) -> Told:
        texts: dict[FlowName, str] = {}
        expected: dict[FlowName, str] = {}
        chosen = names or sorted(file.stem for file in where.glob("*.yaml") if file.name != MANIFEST)
        for name in chosen:
            if draft:
                flow, base = FlowName(name), ""
                standing = await side.standing(flow)
                if standing is None or not standing.draft:
                    raise CtiError(f'the flow "{flow}" has no draft', remedy=f"cti flow draft {flow}")
                text = await side.text(flow, standing.draft)
            else:
                flow, path, text, base = _candidate(name, where)
                files[flow] = path
                standing = await side.standing(flow)
            live = standing.version if standing is not None else ""
            if not names and standing is not None and not live:
                continue  # removed on purpose
            texts[flow], expected[flow] = text, base or expect or live
        return await side.apply(texts, expected=expected, by=_who(by), note=note)

    if draft and not names:
        raise CtiError("whose draft?", remedy="name the flow: cti flow apply --draft FLOW")
    try:
        _told(_ask(data, config, do))
    except CtiError as error:
        error.message = _places(error.message, files)
        raise


@versions_app.command("rollback")
def roll_back(
    name: Named,
    version: Annotated[str, typer.Argument(help="The version; default: the one before the present one.")] = "",
    note: Note = "",
    by: By = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Make an earlier version of a flow live again."""
    from cti.ids import FlowName

    flow = FlowName(name)

    async def do(side: FlowSide) -> Told:
        standing = await _standing(side, flow)
        return await side.roll_back(flow, version or None, expected=standing.version, by=_who(by), note=note)

    _told(_ask(data, config, do))


@versions_app.command("remove")
def remove(name: Named, note: Note = "", by: By = "", data: Data = None, config: Config = None) -> None:
    """Take a flow away that no number, queue or other flow leads to. Calls in it go on."""
    from cti.ids import FlowName

    flow = FlowName(name)

    async def do(side: FlowSide) -> Told:
        standing = await _standing(side, flow)
        return await side.remove(flow, expected=standing.version, by=_who(by), note=note)

    _told(_ask(data, config, do))


async def _standing(side: FlowSide, flow: FlowName) -> FlowStanding:
    from cti.services.flow_changes import UnknownFlow

    standing = await side.standing(flow)
    if standing is None:
        names = await side.names()
        raise UnknownFlow(f'there never was a flow "{flow}"', remedy=f"flows here: {', '.join(names)}")
    return standing


@versions_app.command("log")
def history(
    name: Annotated[str, typer.Argument(help="The flow; default: all, as they stand.")] = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Who changed a flow when, newest first."""
    from cti.ids import FlowName

    async def do(side: FlowSide) -> list[str]:
        lines = []
        for flow in (FlowName(name),) if name else map(FlowName, await side.names()):
            standing = await _standing(side, flow)
            for change in reversed(standing.changes):
                version = change.flows[flow]
                words = (("live", standing.version), ("draft", standing.draft))
                marks = ", ".join(word for word, marked in words if marked == version)
                text = (
                    f"{change.at:%Y-%m-%d %H:%M:%S}Z  {version}  {change.action.value.replace('_', ' ')}"
                    f"  {change.by or 'found at a start'}{f'  {change.note}' if change.note else ''}"
                    f"{f'  ({marks})' if marks else ''}"
                )
                lines.append(text if name else f"{flow}  {text}")
                if not name:
                    break
        return lines

    for line in _ask(data, config, do):
        _line(line)


@versions_app.command("show")
def show(
    name: Named,
    version: Annotated[str, typer.Argument(help="The version; default: the live one.")] = "",
    draft: Annotated[bool, typer.Option("--draft", help="The draft.")] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Print a version of a flow, to edit and apply. Its last line says which version it was made from."""
    from cti.ids import FlowName

    flow = FlowName(name)

    async def do(side: FlowSide) -> tuple[str, str]:
        standing = await _standing(side, flow)
        text = await side.text(flow, version or (standing.draft if draft else standing.version))
        return text, standing.version

    text, live = _ask(data, config, do)
    end = "" if text.endswith("\n") or not text else "\n"
    sys.stdout.write(f"{text}{end}# cti-version: {live} (apply compares it; leave this line)\n" if live else text)


@versions_app.command("diff")
def diff(
    name: Named,
    before: Annotated[str, typer.Argument(help="A version; default: the live one.")] = "",
    after: Annotated[str, typer.Argument(help="Another; default: the file in the folder of flows.")] = "",
    folder: Folder = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Tell what is different between two versions: in words, then as text. `draft` and `live` are versions, too.

    Exit code 0: nothing, 1: something.
    """
    from cti.ids import FlowName
    from cti.ivr.comparison import differences, text_difference
    from cti.services.flow_changes import UnknownFlow

    flow = FlowName(name)

    def meant(word: str, standing: FlowStanding) -> str:
        found = {"live": standing.version, "draft": standing.draft}.get(word, word)
        if not found:
            raise UnknownFlow(f'the flow "{flow}" has no {word} version', remedy=f"cti flow log {flow}")
        return found

    async def do(side: FlowSide) -> tuple[tuple[str, ...], str]:
        standing = await _standing(side, flow)
        old = meant(before or "live", standing)
        if after:
            found = await side.diff(flow, old, meant(after, standing))
            return found.steps, found.text
        _, path, new, _ = _candidate(name, _folder(data, config, folder))
        text = await side.text(flow, old)
        return differences(text, new), text_difference(text, new, names=(f"{flow}.yaml {old}", str(path)))

    steps, text = _ask(data, config, do)
    for line in steps:
        _line(line)
    if text:
        _line(("" if not steps else "\n") + text.rstrip("\n"))
    raise typer.Exit(1 if text else 0)


@versions_app.command("draft")
def put_draft(
    name: Annotated[str, typer.Argument(metavar="FLOW|FILE", help="A flow of the folder by name, or a file.")],
    off: Annotated[bool, typer.Option("--off", help="Take the draft away.")] = False,
    note: Note = "",
    by: By = "",
    folder: Folder = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Let callers of the test numbers hear a draft; everybody else goes on hearing what is live."""
    from cti.errors import CtiError
    from cti.ids import FlowName

    where = _folder(data, config, folder)
    files: dict[FlowName, Path] = {}

    async def do(side: FlowSide) -> tuple[Told, tuple[str, ...]]:
        if off:
            return await side.withdraw(FlowName(Path(name).stem), by=_who(by)), ()
        flow, path, text, _ = _candidate(name, where)
        files[flow] = path
        return await side.put_draft(flow, text, by=_who(by), note=note), await side.test_numbers()

    try:
        told, numbers = _ask(data, config, do)
    except CtiError as error:
        error.message = _places(error.message, files)
        raise
    _told(told)
    if not off:
        _line(f"dial {' or '.join(numbers)}" if numbers else "no number is a test number yet: `draft: true` makes one")
