"""The `cti` command. Each command imports what it needs when it runs, so that `cti --help` is instant."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cti.customer_cli import customer_app
from cti.errors import CtiError
from cti.flow_cli import flow_app
from cti.report_cli import report_app
from cti.settings import Settings, load_settings
from cti.staffing_cli import staffing_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Contact-centre server for Asterisk: IVR, ACD, screen pop, live pages, every call in Postgres.",
)
asterisk_app = typer.Typer(no_args_is_help=True, help="Asterisk: unpack it, render its configuration, start it.")
config_app = typer.Typer(no_args_is_help=True, help="The centre's configuration: numbers, queues, agents, calendars.")
prompts_app = typer.Typer(no_args_is_help=True, help="Prompts: the sounds callers hear.")
app.add_typer(asterisk_app, name="asterisk")
app.add_typer(flow_app, name="flow")
app.add_typer(config_app, name="config")
app.add_typer(customer_app, name="customers")
app.add_typer(prompts_app, name="prompts")
app.add_typer(report_app, name="report")
app.command("staffing")(staffing_command)

Data = Annotated[Path | None, typer.Option("--data", help="Data folder (default .data): one centre each.")]
Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="CTI_CONFIG", help="Settings file (TOML); docs/settings.md lists the keys."),
]
out = Console()
err = Console(stderr=True)


def _settings(data: Path | None, config: Path | None) -> Settings:
    return load_settings(config, overrides={"data": str(data)} if data is not None else None)


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """For imports: what they make stays, and to look for garbage in it takes a tenth of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@app.command()
def up(
    data: Data = None,
    config: Config = None,
    demo: Annotated[bool, typer.Option("--demo", help="Add simulated callers and agents over real SIP.")] = False,
    history: Annotated[
        int,
        typer.Option(min=0, max=400, metavar="DAYS", help="At the first start: so many days of invented calls before."),
    ] = 0,
    standby: Annotated[bool, typer.Option("--standby", help="Start a second bridge that takes over at once.")] = False,
) -> None:
    """Start a whole centre on this machine: Asterisk, database, bridge, pages. Ctrl-C stops everything."""
    with _nothing_collected():
        from cti.up import up as run_up

    settings = _settings(data, config)
    running = run_up(settings, config=config, demo=demo, console=out, history=history, standby=standby)
    raise typer.Exit(asyncio.run(running))


@app.command()
def serve(data: Data = None, config: Config = None) -> None:
    """Run the bridge alone, against an Asterisk and a Postgres that are there."""
    with _nothing_collected():
        from cti.app import serve as run_serve

    settings = _settings(data, config)
    _run_fast(run_serve(settings))


@app.command()
def handover(data: Data = None, config: Config = None) -> None:
    """Have the bridge that stands by take over from the one that owns the floor, for example after an upgrade."""
    from cti.handover import hand_over

    seconds = asyncio.run(hand_over(_settings(data, config)))
    out.print(f"handed over: the other bridge has answered after {seconds:.1f} s", highlight=False)


@app.command()
def status(
    data: Data = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts. Holds the generated passwords.")] = False,
) -> None:
    """Show addresses, numbers and accounts of a centre, and whether it is ready. Exit code 1 when it is not."""
    from cti.centre_file import load_centre
    from cti.panel import panel
    from cti.places import Places
    from cti.secrets_file import load_or_make, secrets_path
    from cti.status import describe, ready

    settings = _settings(data, config)
    if not secrets_path(settings.data).exists():
        raise CtiError(f"there is no centre in {settings.data} yet", remedy="start one: make up, or cti up --data DIR")
    centre = load_centre(Places(settings).centre)
    told = describe(settings, centre, load_or_make(settings.data, centre))
    is_ready, parts = asyncio.run(ready(settings))
    told["ready"], told["parts"] = is_ready, parts
    if as_json:
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        out.print(panel(told, demo=False))
        out.print("[green]ready[/]" if is_ready else f"[red]not ready[/]: {json.dumps(parts)}", highlight=False)
    raise typer.Exit(0 if is_ready else 1)


@app.command()
def doctor(data: Data = None, config: Config = None) -> None:
    """Check an installation and say what to mend. Exit code 1 when something must be mended."""
    from rich.markup import escape

    from cti.doctor import examine

    findings = asyncio.run(examine(_settings(data, config)))
    for finding in findings:
        mark = {"ok": "[green]ok   [/]", "note": "[yellow]note [/]", "bad": "[red]MEND [/]"}[finding.grade]
        out.print(f"{mark} {finding.subject}: {escape(finding.finding)}", highlight=False)
        if finding.remedy and finding.grade != "ok":
            out.print(f"        {escape(finding.remedy)}", style="dim", highlight=False)
    raise typer.Exit(1 if any(f.grade == "bad" for f in findings) else 0)


@app.command()
def migrate(data: Data = None, config: Config = None) -> None:
    """Bring the database's schema up to date (setting database.url)."""
    import structlog

    from cti.store.migrate import migrate as run_migrate

    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # what we print is for scripts
    done = asyncio.run(run_migrate(_database_url(_settings(data, config))))
    out.print(
        f"schema {done.before or 'none'} -> {done.after}" if done.before != done.after else f"up to date ({done.after})"
    )


@app.command(hidden=True)
def demo(data: Data = None, config: Config = None) -> None:
    """Simulated callers and agents against a running centre (`cti up --demo` starts this)."""
    from cti.demo.traffic import run as run_traffic

    asyncio.run(run_traffic(_settings(data, config)))


@app.command()
def simulate(
    scenario: Annotated[Path, typer.Argument(help="What is simulated (YAML); docs/acd.md describes the keys.")],
    compare: Annotated[Path | None, typer.Option("--compare", help="Another scenario, side by side.")] = None,
    replay: Annotated[
        str, typer.Option("--replay", metavar="FROM..TO", help="Callers of the past, out of the database.")
    ] = "",
    calls: Annotated[
        Path | None, typer.Option("--calls", help="Out of this export of report.calls (CSV or JSON) instead.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write a page with a picture and tables.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write the picture alone.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Send simulated callers through the routing engine on a virtual clock, and print how they fared."""
    from cti.simulate.chart import html as html_page
    from cti.simulate.chart import svg as picture
    from cti.simulate.compare import changes
    from cti.simulate.figures import figures
    from cti.simulate.floor import simulate as run_floor
    from cti.simulate.page import comparison, page
    from cti.simulate.recorded import calls_of_database, calls_of_file
    from cti.simulate.replay import past_calls, replayed
    from cti.simulate.scenario import Arrival, Scenario
    from cti.simulate.scenario_file import load_scenario
    from cti.simulate.traffic import arrivals

    def callers_of(one: Scenario) -> tuple[Scenario, Iterable[Arrival]]:
        plan = one.replay
        if plan is None:
            return one, arrivals(one)
        if plan.file:
            rows = calls_of_file(Path(plan.file))
        else:
            rows = asyncio.run(calls_of_database(_database_url(_settings(data, config)), plan.begin, plan.end))
        past = replayed(one, plan, past_calls(rows))
        for queue, count in past.left_out.items():
            err.print(f"{one.name}: {count} call(s) left out: it has no queue {queue}", markup=False, highlight=False)
        return past.scenario, past.arrivals

    scenarios = [
        callers_of(load_scenario(path, replay=replay, file=calls)) for path in (scenario, compare) if path is not None
    ]
    logs = [run_floor(one, coming) for one, coming in scenarios]
    runs = [figures(one, log) for (one, _), log in zip(scenarios, logs, strict=True)]
    changed = changes(scenarios[0][0], logs[0], scenarios[1][0], logs[1]) if compare is not None else ()
    text = comparison(runs[0], runs[1], changed) if compare is not None else page(runs[0])
    out.print(text, highlight=False, markup=False, soft_wrap=True)
    for path, content in ((html, html_page(runs, changed)), (svg, picture(runs))):
        if path is not None:
            path.write_text(content, encoding="utf-8")
            err.print(f"written: {path}", markup=False, highlight=False)


@asterisk_app.command("install")
def asterisk_install(data: Data = None, config: Config = None) -> None:
    """Find a suitable Asterisk, or unpack one without root."""
    from cti.asterisk.install import ensure_asterisk

    binary = ensure_asterisk(_settings(data, config), _progress)
    out.print(f"Asterisk {binary.version}: {' '.join(binary.argv)}", highlight=False, markup=False, soft_wrap=True)
    for warning in binary.warnings:
        out.print(warning, style="yellow", markup=False)


@asterisk_app.command("render")
def asterisk_render(
    data: Data = None,
    config: Config = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder to write into (default <data>/asterisk).")] = None,
) -> None:
    """Write Asterisk's configuration for this centre."""
    from cti.asterisk.install import ensure_asterisk
    from cti.asterisk.render import render
    from cti.centre_file import load_centre
    from cti.places import Places
    from cti.secrets_file import load_or_make

    settings = _settings(data, config)
    places = Places(settings)
    centre = load_centre(places.centre)
    rendered = render(
        settings,
        centre,
        load_or_make(settings.data, centre),
        ensure_asterisk(settings, _progress),
        places.prompts,
        to or places.asterisk,
    )
    out.print(f"written to {rendered.etc}", highlight=False, markup=False)


@asterisk_app.command("start")
def asterisk_start(data: Data = None, config: Config = None) -> None:
    """Run Asterisk alone with the rendered configuration, in the foreground."""
    from cti.asterisk.install import ensure_asterisk
    from cti.asterisk.render import render
    from cti.centre_file import load_centre
    from cti.places import Places
    from cti.secrets_file import load_or_make

    settings = _settings(data, config)
    places = Places(settings)
    centre = load_centre(places.centre)
    binary = ensure_asterisk(settings, _progress)
    rendered = render(settings, centre, load_or_make(settings.data, centre), binary, places.prompts, places.asterisk)
    command = [*binary.argv, "-f", "-C", str(rendered.asterisk_conf)]
    os.execv(command[0], command)  # noqa: S606 - our own argv, no shell


CentreFile = Annotated[Path, typer.Argument(help="A centre.yaml.")]


@config_app.command("check")
def config_check(file: CentreFile, data: Data = None, config: Config = None) -> None:
    """Check a centre file, its flows and prompts too: file, line, what is wrong. Exit code 1 when something is."""
    from cti.config_commands import read_candidate, side_of

    async def ask() -> Any:
        return await (await side_of(_settings(data, config))).check(read_candidate(file)[0], str(file))

    problems = asyncio.run(ask())
    for problem in problems:
        out.print(str(problem), highlight=False, markup=False, soft_wrap=True)
    out.print(f"{len(problems)} problem(s)" if problems else "nothing is wrong", highlight=False)
    raise typer.Exit(1 if problems else 0)


@config_app.command("diff")
def config_diff(
    file: Annotated[Path | None, typer.Argument(help="A centre.yaml; default: the centre's own file.")] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Tell what a centre file would change. Exit code 0: nothing, 1: something, 2: it cannot be told."""
    from cti.config_commands import read_candidate, side_of
    from cti.places import Places

    settings = _settings(data, config)
    path = file or Places(settings).centre

    async def ask() -> Any:
        side = await side_of(settings)
        if file is None and not side.running:
            raise CtiError("no bridge of this centre runs: its file has nothing to differ from", remedy="name a file")
        return await side.diff(read_candidate(path)[0], str(path))

    try:
        lines = asyncio.run(ask())
    except CtiError as error:
        _tell(error)
        raise typer.Exit(2) from None
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(1 if lines else 0)


@config_app.command("apply")
def config_apply(
    file: CentreFile,
    by: Annotated[str, typer.Option("--by", help="Who wants it (default: your user name).")] = "",
    expect: Annotated[
        str, typer.Option("--expect", help="The version it was made from (default: the one an exported file names).")
    ] = "",
    data: Data = None,
    config: Config = None,
) -> None:
    """Take a centre file up: at once and without touching a call where the bridge runs, else for the next start."""
    from cti.config_commands import read_candidate, side_of, who

    text, named = read_candidate(file)

    async def ask() -> Any:
        side = await side_of(_settings(data, config))
        return await side.apply(text, str(file), expected=expect or named, by=by or who())

    done = asyncio.run(ask())
    for line in (*done.changes, *(f"note: {note}" for note in done.notes)):
        out.print(line, highlight=False, markup=False, soft_wrap=True)
    for name, password in done.logins.items():
        out.print(f"log-in {name}: {password}", highlight=False, markup=False)
    what = f"{len(done.changes)} change(s)" if done.changes else "nothing changed"
    out.print(f"{what}; version {done.version}", highlight=False)


@config_app.command("export")
def config_export(
    plain: Annotated[
        bool, typer.Option("--plain", help="Without comments, groups resolved, defaults left out.")
    ] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Print the running configuration (or the file of the next start), to edit and apply."""
    from cti.config_commands import exported, side_of

    async def ask() -> Any:
        return await (await side_of(_settings(data, config))).current()

    current = asyncio.run(ask())
    if current is None:
        raise CtiError("there is no centre here yet", remedy="start one: make up, or cti up --data DIR")
    sys.stdout.write(exported(current, plain=plain))


@prompts_app.command("build")
def prompts_build(data: Data = None, config: Config = None) -> None:
    """Synthesise the prompts that have no recording."""
    from cti.flow_versions import FOLDER
    from cti.places import Places
    from cti.prompts import build_prompts

    places = Places(_settings(data, config))
    places.make()
    build_prompts(places.prompt_manifest, places.prompts, _progress, kept=places.data / FOLDER)


def _progress(step: str, done: int, total: int) -> None:
    err.print(f"{step} {done}/{total}" if total else step, style="dim", highlight=False)


def _database_url(settings: Settings) -> str:
    from cti.errors import ConfigError
    from cti.places import Places

    url = settings.database.url or Places(settings).read_state().get("dsn", "")
    if not url:
        raise ConfigError(
            "no database address: database.url is empty and no centre runs in this data folder",
            remedy="set database.url (or CTI_DATABASE__URL), or start the centre with cti up",
        )
    return str(url)


def _tell(error: CtiError) -> None:
    err.print(f"{type(error).__name__}: {error.message}", highlight=False, markup=False, soft_wrap=True)
    if error.remedy:
        err.print(f"what to do: {error.remedy}", highlight=False, markup=False, soft_wrap=True)


def _run_fast(coroutine: Any) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(coroutine)
    else:
        uvloop.run(coroutine)


def main() -> None:
    """Entry point: errors of ours are told in words, with the next step, not as a traceback."""
    try:
        app()
    except CtiError as error:
        _tell(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
