"""The panel at the end of `cti up`: what a person needs to use the centre now."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text


def panel(status: dict[str, Any], *, demo: bool) -> RenderableType:
    """The panel of `cti.status.describe`'s answer."""
    pages = _table()
    pages.add_row("Call this centre", status["urls"]["call"], "anyone, from the browser")
    pages.add_row("Agent", status["urls"]["agent"], "log in as an agent")
    pages.add_row("Supervisor", status["urls"]["supervisor"], "log in as supervisor")
    logins = _table()
    users = status["logins"]["users"]
    for user in users[:2] + [u for u in users if u["role"] != "agent"]:
        logins.add_row(user["username"], user["password"], user["role"])
    logins.add_row("…", "", f"all in {status['logins']['file']}")
    numbers = _table()
    for number in status["numbers"]:
        numbers.add_row(number["did"], number["title"], f"flow {number['flow']}")
    phones = _table()
    phones.add_row("SIP server", status["sip"]["server"], "an agent's phone: user = extension, password in that file")
    phones.add_row(
        "Trunk", ", ".join(status["trunk"]["match"]), f"calls from there to {status['trunk']['server']} are callers"
    )
    tries = [
        "1. Open the agent page, log in, become Ready (allow the microphone).",
        "2. Open the call page in a second window, call, press 1 in the menu.",
        "3. Watch the supervisor page, answer, talk to yourself, hang up, finish the wrap-up.",
    ]
    if demo:
        tries.append("Simulated callers and agents are on the line: the supervisor page is alive.")
    else:
        tries.append("make demo starts it with simulated callers and agents.")
    return Panel(
        Group(
            *_part("Pages", pages),
            *_part("Log-ins, generated at first run", logins),
            *_part("Numbers to dial", numbers),
            *_part("Phones", phones),
            *_part("Try", Text("\n".join(tries))),
            Text("\nCtrl-C stops everything.", style="dim"),
        ),
        title=f"[b]{status['name']}[/] is open",
        border_style="green",
    )


def _table() -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    return table


def _part(title: str, body: RenderableType) -> tuple[RenderableType, ...]:
    return (Text(f"\n{title}", style="bold"), body)
