"""`cti customers`: the customer file by command, in a database that is there (setting database.url, or a centre's own).

The work is the bridge's: the same rules, the same rows of imports, so that either may go on with what the other began.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from cti.errors import CtiError
from cti.settings import Settings, load_settings

customer_app = typer.Typer(no_args_is_help=True, help="The customer file: files in and out, search, a person's data.")

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default .data): one centre each.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="CTI_CONFIG", help="Settings file (TOML); docs/settings.md lists the keys."),
]
By = Annotated[str, typer.Option("--by", help="Who does it (default: your user name).")]
out = Console()
Result = TypeVar("Result")


def _settings(data: Path | None, config: Path | None) -> Settings:
    return load_settings(config, overrides={"data": str(data)} if data is not None else None)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Any]:
    """The customer file; brings the schema up to date where no bridge has yet."""
    from cti.centre_file import load_centre
    from cti.customer_rooms import CustomerWork
    from cti.places import Places
    from cti.store.embedded import EmbeddedPostgres
    from cti.store.migrate import migrate
    from cti.store.pool import open_pool

    places = Places(settings)
    url, server = settings.database.url, None
    if not url:
        server = EmbeddedPostgres(settings.folder("postgres"))
        await asyncio.to_thread(server.start)  # uses the one that runs, if one does
        url = server.dsn
    region = load_centre(places.centre).region if places.centre.exists() else "US"
    try:
        await migrate(url)
        pool = await open_pool(url)
        try:
            yield CustomerWork(pool, region=lambda: region, retention=settings.retention, recordings=places.recordings)
        finally:
            await pool.close()
    finally:
        if server is not None:
            await asyncio.to_thread(server.stop)  # leaves it running where somebody else started it


def _do(settings: Settings, work: Callable[[Any], Awaitable[Result]]) -> Result:
    import structlog

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what we print is for scripts

    async def run() -> Result:
        async with _opened(settings) as customers:
            return await work(customers)

    return asyncio.run(run())


@customer_app.command("search")
def search_command(
    text: Annotated[
        str, typer.Argument(help="Beginning of a name, company, reference, e-mail, or digits of a number.")
    ],
    limit: Annotated[int, typer.Option("--limit", help="At most so many.")] = 20,
    data: Data = None,
    config: Config = None,
) -> None:
    """Find customers, as the page does. Exit code 1: nobody."""

    async def work(customers: Any) -> Any:
        return await customers.rooms.file.search(text, limit=limit)

    found = _do(_settings(data, config), work)
    for one in found:
        cells = (str(one.customer_id), one.name, one.company, one.tier, ", ".join(one.phones), one.reference)
        sys.stdout.write("\t".join(cells) + "\n")
    raise typer.Exit(0 if found else 1)


@customer_app.command("import")
def import_command(
    file: Annotated[Path | None, typer.Argument(help="A CSV or XLSX file.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="HEADING=FIELD", help="What a column is, where the guess is wrong."),
    ] = None,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only show what the first rows would become.")] = False,
    resume: Annotated[
        int, typer.Option("--resume", metavar="IMPORT", help="Go on with an import that was stopped.")
    ] = 0,
    by: By = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Take customers from a file. Interrupted, it goes on with --resume. Exit code 1: some rows were not taken."""
    if (file is None) == (not resume):
        raise CtiError("give a file, or --resume with the number of an import", remedy="cti customers import FILE")
    chosen = dict(_pair(one) for one in columns or ())

    async def work(customers: Any) -> Any:
        imports = customers.imports
        one = (
            await imports.one_import(resume) if resume else await imports.upload_file(file, by=by or getpass.getuser())
        )
        if one is None:
            raise CtiError(f"there is no import {resume}", remedy="give the number the import told when it began")
        mapping = _mapping(one, chosen)
        told = ", ".join(f"{one.columns[at]} = {meant}" for at, meant in sorted(mapping.items()))
        out.print(f"import {one.import_id}: {one.rows} rows ({one.format}); {told}", highlight=False, markup=False)
        if dry:
            return one, await imports.preview(one.import_id, mapping)
        await imports.run(one.import_id, mapping)
        while await imports.take_some(one.import_id):
            if sys.stderr.isatty():
                now = await imports.one_import(one.import_id)
                sys.stderr.write(f"\r{now.finished} of {now.rows}")
        return await imports.one_import(one.import_id), await imports.problems(one.import_id, limit=1000)

    one, rows = _do(_settings(data, config), work)
    if dry:
        for row in rows:
            problems = "; ".join(f"{p.column}: {p.message}" for p in row.problems)
            told = json.dumps(row.values, ensure_ascii=False)
            out.print(
                f"line {row.line}: {problems or row.change} {told}", highlight=False, markup=False, soft_wrap=True
            )
        return
    for problem in rows:
        out.print(
            f"line {problem.line}, {problem.column}: {problem.message}; {problem.remedy}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    out.print(
        f"{one.added} added, {one.changed} changed, {one.unchanged} as they were, {one.failed} not taken",
        highlight=False,
    )
    raise typer.Exit(1 if one.failed else 0)


def _pair(text: str) -> tuple[str, str]:
    heading, sign, field = text.rpartition("=")
    if not sign or not heading:
        raise CtiError(f"--map {text}: HEADING=FIELD is needed", remedy="for example --map 'Client name=name'")
    return heading, field


def _mapping(one: Any, chosen: dict[str, str]) -> dict[int, str]:
    mapping = dict(one.mapping)
    for heading, field in chosen.items():
        if heading not in one.columns:
            raise CtiError(f"the file has no column {heading!r}", remedy=f"it has: {', '.join(one.columns)}")
        mapping.pop(one.columns.index(heading), None)
        if field:
            mapping[one.columns.index(heading)] = field
    return mapping


@customer_app.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Where to write; .csv or .xlsx.")],
    tag: Annotated[str, typer.Option("--tag", help="Only customers with this tag.")] = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Write customers to a file; formulas in it are only text."""
    if file.suffix not in (".csv", ".xlsx"):
        raise CtiError(f"{file}: .csv or .xlsx is needed", remedy="give the file one of these endings")

    async def work(customers: Any) -> None:
        with file.open("wb") as target:
            async for piece in customers.exports.export(file.suffix[1:], tag=tag):
                target.write(piece)

    _do(_settings(data, config), work)
    out.print(f"written: {file}", highlight=False, markup=False)


@customer_app.command("everything")
def everything_command(customer_id: Annotated[int, typer.Argument()], data: Data = None, config: Config = None) -> None:
    """All there is about one customer, as JSON: to be handed to that person."""

    async def work(customers: Any) -> Any:
        return await customers.privacy.everything(customer_id)

    told = _do(_settings(data, config), work)
    sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2, default=_written) + "\n")


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


@customer_app.command("forget")
def forget_command(
    customer_id: Annotated[int, typer.Argument()],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Delete a customer for good. Calls stay, anonymous; recordings of them are deleted, wherever they lie."""
    settings = _settings(data, config)

    async def look(customers: Any) -> Any:
        return await customers.rooms.file.get(customer_id)

    found = _do(settings, look)
    if found is None:
        raise CtiError(f"no customer has the number {customer_id}", remedy="cti customers search NAME")
    if not yes:
        typer.confirm(f"Delete {found.name} for good? This cannot be undone", abort=True)
    done = _forget(settings, customer_id, found.name, by=by or getpass.getuser())
    out.print(", ".join(f"{count} {kind}" for kind, count in done.items()), highlight=False)


def _forget(settings: Settings, customer_id: int, name: str, *, by: str) -> dict[str, int]:
    """A running bridge does it: the journal, and so the audit log, is its own. Without one it is done here, and what was deleted is
    in the journal for the next bridge."""
    from cti.bridge_api import BridgeApi
    from cti.clock import SystemClock
    from cti.places import Places
    from cti.recording_rooms import eraser_beside

    async def beside(customers: Any) -> Any:
        async with eraser_beside(settings, Places(settings), customers.pool, SystemClock()) as eraser:
            customers.eraser = eraser
            return await customers.privacy.forget(customer_id, by=by)

    api = BridgeApi(settings)
    if asyncio.run(api.there()):
        told = asyncio.run(api.ask("POST", f"/api/v1/customers/{customer_id}/forget", {"name": name}))
        return {kind: int(count) for kind, count in told.items()}
    done = asdict(_do(settings, beside))
    return {**done, "recordings": len(done["recordings"])}
