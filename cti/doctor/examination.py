"""`cti doctor`: looks at an installation and says what to mend. Reads, asks and compares; changes nothing.

It works on a centre that runs, on one that does not, and on a folder without one. What is merely not there yet is a note;
`bad` is what keeps callers from being served as the settings say. No secret is ever part of a finding.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cti.asterisk.cel import LedgerFile
from cti.asterisk.install import find_asterisk
from cti.centre_file import load_centre
from cti.children import ended, port_is_free
from cti.doctor.findings import Finding, Grade, Seen, some
from cti.doctor.live_asterisk import examine_asterisk
from cti.errors import ConfigError, CtiError
from cti.ivr.checker import live
from cti.places import DEMO_CENTRE, Places
from cti.prompts import missing_sounds, read_manifest
from cti.secrets_file import endpoints, read_secrets, secrets_path
from cti.services.flow_library import FlowLibrary
from cti.settings import Settings, meaningless
from cti.status import ready
from cti.store.anew import progress
from cti.store.migrate import newest, revision
from cti.store.pool import connect
from cti.web.auth.accounts import Accounts

PATIENCE = 3.0
"""Seconds one check may wait for an answer from outside. All of them wait at the same time."""

LEAST_SPACE = 300 * 1024 * 1024
"""Bytes. Below it a day of recordings, or the database, may fill the disk."""
SPACE_TO_UNPACK = 600 * 1024 * 1024
"""Bytes an unpacking of Asterisk takes, with the packages it is unpacked from."""

PAGES = ("index.html", "agent.html", "supervisor.html", "call.html")
_TAIL = 65536


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything, in at most a few seconds. Findings come in the order things depend on each other."""
    places = Places(settings)
    seen = Seen(settings=settings, places=places, exists=secrets_path(settings.data).exists())
    seen.bridge = _holder(places.journal / "lock") or _remembered(places, "bridge")
    found = [_python(), _settings(settings)]
    for subject, check in (("data folder", _data), ("centre file", _centre), ("secrets", _secrets)):
        found += _guarded(subject, check, seen)
    found += _guarded("flows", _flows, seen)
    found += _guarded("prompts", _prompts, seen)
    found += _guarded("pages", _pages, seen)
    outside = await asyncio.gather(
        _patiently("Asterisk", _asterisk(seen)),
        _patiently("bridge", _bridge(seen)),
        _patiently("database", _database(seen)),
        _patiently("manager interface", examine_asterisk(seen)),
        _patiently("ledger", asyncio.to_thread(_guarded, "ledger", _ledger, seen)),
    )
    for findings in outside:
        found += findings
    return [*found, *_ports(seen, spoke=any(f.subject == "manager interface" and f.grade == "ok" for f in found))]


def _guarded(subject: str, check: Callable[[Seen], Iterable[Finding]], seen: Seen) -> list[Finding]:
    """Whatever a check stumbles over is a finding, not the end of the examination."""
    found: list[Finding] = []
    try:
        for finding in check(seen):
            found.append(finding)  # one by one: what was found before it stumbles is kept
    except CtiError as error:
        found.append(Finding(grade="bad", subject=subject, finding=error.message, remedy=error.remedy))
    except OSError as error:
        text = f"{error.filename}: {error.strerror}"
        found.append(Finding(grade="bad", subject=subject, finding=text, remedy=_ACCESS))
    return found


_ACCESS = "it must be readable for the user the centre runs as"


async def _patiently(subject: str, check: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE + 1):
            return await check
    except TimeoutError:
        return [Finding(grade="bad", subject=subject, finding="it does not answer in time", remedy="look at its log")]
    except CtiError as error:
        return [Finding(grade="bad", subject=subject, finding=error.message, remedy=error.remedy)]
    except OSError as error:
        return [Finding(grade="bad", subject=subject, finding=str(error), remedy=_ACCESS)]


# ---- what lies on the disk


def _python() -> Finding:
    try:
        product = version("cti-server")
    except PackageNotFoundError:
        return Finding(
            grade="bad", subject="Python", finding="the package cti-server is not installed", remedy="run `make up`"
        )
    fine = sys.version_info >= (3, 11)
    return Finding(
        grade="ok" if fine else "bad",
        subject="Python",
        finding=f"{platform.python_version()}, cti-server {product}",
        remedy="" if fine else "install Python 3.11 or newer, remove .venv and run `make up`",
    )


def _settings(settings: Settings) -> Finding:
    slips = meaningless(os.environ)
    if slips:
        return Finding(
            grade="note",
            subject="settings",
            finding=f"no setting has the name of {', '.join(slips)} (environment)",
            remedy="docs/settings.md lists the names",
        )
    ports = f"web {settings.ports.of('web')}, SIP {settings.ports.of('sip')}"
    return Finding(grade="ok", subject="settings", finding=f"valid; node {settings.node}, ports: {ports}")


def _data(seen: Seen) -> Iterable[Finding]:
    data = seen.settings.data
    there = data
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            grade="bad",
            subject="data folder",
            finding=f"{there} cannot be written",
            remedy="give it to the user the centre runs as, or set `data` to another folder",
        )
    elif free < LEAST_SPACE:
        yield Finding(
            grade="bad",
            subject="data folder",
            finding=f"{data}: {_size(free)} free on its disk",
            remedy="make room: recordings and voicemail grow with every call",
        )
    elif not data.exists():
        yield Finding(
            grade="note", subject="data folder", finding=f"{data} is not there yet", remedy="`cti up` makes it"
        )
    else:
        yield Finding(grade="ok", subject="data folder", finding=f"{data}, {_size(free)} free")


def _centre(seen: Seen) -> Iterable[Finding]:
    file = seen.places.centre
    if not file.exists() and seen.settings.centre is None:
        seen.centre = load_centre(DEMO_CENTRE)
        yield Finding(
            grade="note",
            subject="centre file",
            finding=f"{file} is not there yet",
            remedy="`cti up` starts with the demo centre's",
        )
        return
    seen.centre = centre = load_centre(file)
    yield Finding(
        grade="ok",
        subject="centre file",
        finding=f"{centre.name}: {len(centre.numbers)} numbers, {len(centre.queues)} queues, {len(centre.agents)} agents",
    )
    if centre.outbound.allow and not seen.settings.trunk.address:
        yield Finding(
            grade="note",
            subject="trunk",
            finding="the centre may dial numbers outside, and nothing says where such calls go: nobody is called back",
            remedy="set trunk.address",
        )


def _secrets(seen: Seen) -> Iterable[Finding]:
    path = secrets_path(seen.settings.data)
    tree = read_secrets(path)
    if not tree:
        yield Finding(
            grade="note", subject="secrets", finding="none yet", remedy="they are generated at the first start"
        )
        return
    seen.ami_secret = str(tree.get("ami") or "")
    for private in (path.parent, seen.places.accounts, seen.places.revoked):
        if private.exists() and (mode := stat.S_IMODE(private.stat().st_mode)) & 0o077:
            right = "700" if private.is_dir() else "600"
            yield Finding(
                grade="bad",
                subject="secrets",
                finding=f"{private}: others may look in (mode {mode:04o})",
                remedy=f"chmod {right} {private}",
            )
    if seen.places.accounts.exists():
        Accounts.load(seen.places.accounts)
    accounts = tree.get("sip")
    wanted = set(endpoints(seen.centre)) if seen.centre is not None else set()
    missing = sorted(wanted - set(accounts if isinstance(accounts, dict) else ()))
    if missing:
        yield Finding(
            grade="note",
            subject="secrets",
            finding=f"no SIP password yet for {some(missing)}",
            remedy="they are generated at the next start; log-ins are made for new agents then, too",
        )
    else:
        yield Finding(grade="ok", subject="secrets", finding=f"{path}, for its owner only")


def _flows(seen: Seen) -> Iterable[Finding]:
    if seen.centre is None:
        yield Finding(grade="note", subject="flows", finding="not checked: that needs the centre file")
        return
    library, problems = FlowLibrary.check(seen.places.flows, seen.centre)
    for problem in problems:
        where = f"{problem.file}:{problem.at.line}:{problem.at.column}"
        grade: Grade = "note" if live([problem]) else "bad"
        yield Finding(grade=grade, subject="flows", finding=f"{where}: {problem.message}", remedy=problem.remedy)
    if library is None:
        return
    names = {flow.name for flow in library}
    for number in seen.centre.numbers.values():
        if number.flow not in names:
            yield Finding(
                grade="bad",
                subject="flows",
                finding=f'{number.did} leads to the flow "{number.flow}", which cannot go live',
                remedy=f"flows that can: {', '.join(sorted(names))}",
            )
    if not problems:
        yield Finding(grade="ok", subject="flows", finding=f"{len(names)} in {seen.places.flows}")


def _prompts(seen: Seen) -> Iterable[Finding]:
    book = read_manifest(seen.places.prompt_manifest)
    wanted = sum(len(texts) for texts in book.prompts.values())
    missing = missing_sounds(book, seen.places.prompts)
    if missing:
        yield Finding(
            grade="bad" if seen.bridge else "note",
            subject="prompts",
            finding=f"{len(missing)} of {wanted} have no sound: {some(missing)}",
            remedy="`cti prompts build` makes them; `cti up` does it at every start",
        )
    else:
        yield Finding(grade="ok", subject="prompts", finding=f"{wanted} sounds in {seen.places.prompts}")


def _pages(seen: Seen) -> Iterable[Finding]:
    missing = [name for name in PAGES if not (seen.places.static / name).is_file()]
    if missing:
        yield Finding(
            grade="bad" if seen.bridge else "note",
            subject="pages",
            finding=f"not built: {', '.join(missing)}",
            remedy="`make ui` builds them; `make up` does it when they changed",
        )
    else:
        yield Finding(grade="ok", subject="pages", finding="built")


def _ledger(seen: Seen) -> Iterable[Finding]:
    file = seen.places.ledger
    if not file.exists():
        own = seen.settings.asterisk.ledger is not None
        yield Finding(
            grade="note" if own else "ok",
            subject="ledger",
            finding=f"none yet; Asterisk makes {file} with its first call",
            remedy="if calls were made: cel.conf and cel_custom.conf must name this file (docs/own-asterisk.md)",
        )
        return
    size = file.stat().st_size
    start = max(0, size - _TAIL)
    read = LedgerFile(file).read(start)
    cut = 1 if start else 0  # the first line may have been cut
    if read.skipped > cut:
        yield Finding(
            grade="bad",
            subject="ledger",
            finding=f"{file}: {read.skipped - cut} of the last lines cannot be read",
            remedy="cel_custom.conf must have the columns this version writes: `cti asterisk render`",
        )
    else:
        yield Finding(grade="ok", subject="ledger", finding=f"{file}, {_size(size)}")


# ---- what runs


async def _asterisk(seen: Seen) -> list[Finding]:
    binary, refused = await asyncio.to_thread(find_asterisk, seen.settings)
    if binary is not None:
        if binary.warnings:
            return [Finding(grade="note", subject="Asterisk", finding="; ".join(binary.warnings), remedy="upgrade it")]
        origin = {"settings": "asterisk.binary", "path": "on PATH", "unpacked": "unpacked"}[binary.origin]
        where = binary.argv[0] if binary.origin != "unpacked" else str(seen.settings.asterisk_root)
        return [Finding(grade="ok", subject="Asterisk", finding=f"{binary.version} ({origin}, {where})")]
    if seen.settings.asterisk.binary is not None:
        remedy = "name an Asterisk 22 (22.10.1 or later), or remove the setting"
        return [Finding(grade="bad", subject="Asterisk", finding=refused, remedy=remedy)]
    root = seen.settings.asterisk_root
    there = root
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < SPACE_TO_UNPACK:
        text = f"none yet, and {_size(free)} free at {root} are not enough to unpack one"
        return [Finding(grade="bad", subject="Asterisk", finding=text, remedy="make room or set asterisk.root")]
    text = f"none yet{f' ({refused})' if refused else ''}"
    return [Finding(grade="note", subject="Asterisk", finding=text, remedy=f"`cti up` unpacks one into {root}")]


async def _bridge(seen: Seen) -> list[Finding]:
    fine, told = await ready(seen.settings)
    parts = told.get("parts")
    seen.answers = isinstance(parts, dict)
    port = seen.settings.ports.of("web")
    if seen.bridge is None:
        if seen.answers:
            return [
                Finding(
                    grade="bad",
                    subject="bridge",
                    finding=f"port {port} is answered by the bridge of another centre",
                    remedy="give this centre other ports: CTI_PORTS__OFFSET=1000, or ports.offset in its settings file",
                )
            ]
        remedy = f"start it: cti up --data {seen.settings.data} (or cti serve)"
        return [Finding(grade="note", subject="bridge", finding="it does not run", remedy=remedy)]
    if not isinstance(parts, dict):
        text = f"it runs (process {seen.bridge}) but does not answer at port {port}"
        remedy = f"it may be starting; else read {seen.places.log / 'bridge.log'}"
        return [Finding(grade="bad", subject="bridge", finding=text, remedy=remedy)]
    found = [
        Finding(
            grade="bad" if part.get("needed") else "note",
            subject=f"bridge, {name}",
            finding=str(part.get("detail") or "not ready"),
            remedy="see the finding about it below" if name in ("asterisk", "database") else "see the bridge's log",
        )
        for name, part in parts.items()
        if not part.get("ok")
    ]
    if fine and not found:
        found = [Finding(grade="ok", subject="bridge", finding=f"ready (process {seen.bridge})")]
    return found


async def _database(seen: Seen) -> list[Finding]:
    settings, places = seen.settings, seen.places
    url = settings.database.url
    if not url:
        url = str(places.read_state().get("dsn", ""))
        if not url or _remembered(places, "postgres") is None:
            grade: Grade = "bad" if seen.bridge else "note"
            remedy = (
                f"`cti up` starts it ({places.postgres / 'postgres.log'}); to use one of your own, set database.url"
            )
            return [Finding(grade=grade, subject="database", finding="the embedded one does not run", remedy=remedy)]
    where = _address(url)
    try:
        async with asyncio.timeout(PATIENCE):
            at = await revision(url)
    except CtiError as error:
        if isinstance(error.__cause__, ValueError):  # its text may quote a part of the address, password included
            raise ConfigError(
                "database.url is no address of a database",
                remedy="write postgresql://user:password@host/name, special signs in the password percent-encoded",
            ) from None
        password = urlsplit(url).password
        text = error.message.replace(password, "***") if password else error.message
        remedy = (
            error.remedy if settings.database.url else f"read {places.postgres / 'postgres.log'}; restart the centre"
        )
        return [Finding(grade="bad", subject="database", finding=f"{where}: {text}", remedy=remedy)]
    except TimeoutError:
        text = f"{where} does not answer within {PATIENCE:g} s"
        return [Finding(grade="bad", subject="database", finding=text, remedy="check database.url and the network")]
    if at != newest():
        text = f"{where}: its schema is at {at or 'nothing'}, this version needs {newest()}"
        return [Finding(grade="bad", subject="database", finding=text, remedy="run `cti migrate`")]
    fine = Finding(grade="ok", subject="database", finding=f"{where}, schema {at}")
    return [fine, *await _figures(url)]


async def _figures(url: str) -> list[Finding]:
    """Whether everything is being counted anew."""
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await connect(url)
            try:
                found = await progress(connection)
            finally:
                await connection.close()
    except (CtiError, TimeoutError):
        return []
    if found is None:
        return []
    text = f"everything is counted anew: {found.done} of {found.of} calls"
    return [Finding(grade="note", subject="figures", finding=text, remedy="until then figures of the past still move")]


def _ports(seen: Seen, *, spoke: bool) -> list[Finding]:
    """Each port is either used by ours or free for it."""
    settings = seen.settings
    free = {
        name: port_is_free(settings.network.bind, settings.ports.of(name), "udp" if name == "sip" else "tcp")
        for name in ("web", "ws", "ami", "agi", "sip")
    }
    found = []
    if seen.bridge is not None:
        if free["agi"]:
            port = settings.ports.of("agi")
            text = f"the bridge runs, but nothing listens at {port} (ports.agi): callers would go to survival"
            found.append(Finding(grade="bad", subject="ports", finding=text, remedy="see the bridge's log; restart it"))
        ours = {"web", "agi"}
    else:
        ours = {"web"} if seen.answers else set()  # told already
    if spoke:
        ours |= {"ws", "ami", "sip"}
    taken = [f"{settings.ports.of(name)} (ports.{name})" for name in free if name not in ours and not free[name]]
    if taken:
        text = f"used by another program: {', '.join(taken)}"
        remedy = "stop it, or give this centre other ports: CTI_PORTS__OFFSET=1000"
        found.append(Finding(grade="bad", subject="ports", finding=text, remedy=remedy))
    if not found:
        found.append(Finding(grade="ok", subject="ports", finding="used by this centre" if ours else "free"))
    return found


# ---- small questions


def _holder(lock: Path) -> int | None:
    """Process that holds a lock on this file, as the kernel lists it. Asking for the lock would be taking it."""
    try:
        status = lock.stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    mark = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5] == mark and words[4].isdigit():
            return int(words[4])
    return None


def _remembered(places: Places, name: str) -> int | None:
    """Process of that name that `cti up` wrote down, if it lives."""
    pids = places.read_state().get("pids")
    pid = pids.get(name) if isinstance(pids, dict) else None
    return pid if isinstance(pid, int) and pid > 0 and not ended(pid) else None


def _address(url: str) -> str:
    """A database's address without user and password."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        socket = parse_qs(parts.query).get("host", [""])[0]
    except ValueError:
        return "the database"
    return f"{parts.hostname or ''}{port}{parts.path}" + (f" in {socket}" if socket else "")


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"
