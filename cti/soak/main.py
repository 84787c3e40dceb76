"""`cti-soak`: the command. Without `--data` it starts a centre of its own in a temporary folder and ends it again."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from cti.errors import CtiError
from cti.settings import load_settings
from cti.soak.plan import NEEDS_OWN_CENTRE, Fault, plan
from cti.soak.run import Report, Soak
from cti.soak.stage import Stage

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def soak(
    data: Annotated[
        Path | None, typer.Option("--data", help="Data folder of a centre that runs; none: one of our own.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0, help="How long at least.")] = 0.0,
    calls: Annotated[int, typer.Option(min=1, max=1000, help="Callers on the line at once, about.")] = 30,
    agents: Annotated[int, typer.Option(min=0, max=100, help="Agents who answer.")] = 6,
    faults: Annotated[str, typer.Option(help=f"Kinds, by commas: {', '.join(Fault)}; or none.")] = "none",
    times: Annotated[int, typer.Option(min=0, help="Faults in all.")] = 10,
    lasting: Annotated[float, typer.Option(min=1, help="Seconds a fault lasts, where it lasts.")] = 60.0,
    gap: Annotated[str, typer.Option(help="Seconds between faults, least and most.")] = "2,12",
    kill_inside: Annotated[bool, typer.Option(help="Kill the bridge besides, within each fault that lasts.")] = False,
    seed: Annotated[int, typer.Option(help="What the plan is made from.")] = 1,
    report: Annotated[Path | None, typer.Option("--report", help="Write everything here too (JSON).")] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave the folder of our own centre (it is left when anything was wrong, too)."),
    ] = False,
) -> None:
    """Call a centre for hours, harm it by a plan, compare what SIP, Asterisk and Postgres say of every call.

    Ctrl-C ends it early, with the report. Exit code 1 when anything was lost, doubled, dropped or did not come back. Callers are dialled in over the loopback
    address that the setting trunk.match names.
    """
    began = time.monotonic()

    def say(text: str) -> None:
        typer.echo(f"{time.monotonic() - began:7.1f} s  {text}")
        sys.stdout.flush()

    kinds = [] if faults in ("", "none") else [_fault(name) for name in faults.split(",")]
    if data is not None and NEEDS_OWN_CENTRE & set(kinds):
        raise CtiError("some of these faults need a centre of our own", remedy="leave --data away")
    least, _, most = gap.partition(",")
    planned = plan(
        seed, kinds, times, gap=(float(least), float(most or least)), lasting=lasting, kill_inside=kill_inside
    )
    folder = Path(tempfile.mkdtemp(prefix="cti-soak-"))
    folder.chmod(0o755)
    stage = Stage.own(folder, kinds) if data is None else Stage.attach(load_settings(overrides={"data": str(data)}))

    async def run() -> Report:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        await stage.open(start=data is None)
        say(
            f"seed {seed}; {len(planned)} faults; about {calls} callers at once; the centre is in {stage.settings.data}"
        )
        running = Soak(stage, seed=seed, plan=planned, at_once=calls, seconds=hours * 3600, agents=agents, say=say)

        def enough() -> None:
            say("that is enough: coming to the end (again: stop at once, without a report)")
            loop.add_signal_handler(signal.SIGINT, task.cancel)
            running.finish()

        loop.add_signal_handler(signal.SIGINT, enough)
        try:
            return await running.run()
        finally:
            await stage.close()

    told: Report | None = None
    try:
        told = asyncio.run(run())
    finally:
        if keep or (told is not None and not told.clean()):
            typer.echo(f"kept, to look at: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    typer.echo(told.text())
    if report is not None:
        report.write_text(json.dumps(told.as_json(), indent=1, default=str), encoding="utf-8")
    raise typer.Exit(0 if told.clean() else 1)


def _fault(name: str) -> Fault:
    try:
        return Fault(name.strip())
    except ValueError:
        raise CtiError(f"there is no fault {name!r}", remedy=f"one of: {', '.join(Fault)}") from None


def main() -> None:
    """Entry point."""
    try:
        app()
    except CtiError as error:
        typer.echo(f"{error.message}\nwhat to do: {error.remedy}" if error.remedy else error.message, err=True)
        sys.exit(2)
    except asyncio.CancelledError:
        sys.exit(130)


if __name__ == "__main__":
    main()
