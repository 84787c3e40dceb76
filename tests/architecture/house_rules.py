"""The rules of the house as functions: each takes a source tree and returns what breaks the rule, one line each.

They read source text with `ast` and import nothing, so a broken module is judged like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BASE = {"errors", "ids"}
PURE = {"model", "acd", "ivr", "reports"}
"""Rooms without I/O, clock or chance. Of the journal only the codec (and its errors) is."""
PURE_MODULES = {"cti.journal.codec", "cti.journal.errors", "cti.errors", "cti.ids"}
ADAPTERS = {"asterisk", "store", "crm", "web", "metrics"}
SEAMS = {"cti.services.ports", "cti.services.floor"}
"""All an adapter may know of the services."""
SHARED = {"clock", "settings", "secrets_file"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "ids": set(),
    "clock": set(),
    "settings": {"errors", "ids"},
    "secrets_file": {"errors", "ids", "settings", "model"},
    "model": BASE,
    "acd": BASE | {"model"},
    "ivr": BASE | {"model"},
    "reports": BASE | {"model"},
    "journal": BASE | {"clock", "model"},
    "services": BASE | {"clock", "settings", "journal"} | PURE,
    **{room: BASE | SHARED | PURE | {"journal", "services", "metrics"} for room in ADAPTERS},
}
"""Room -> rooms it may import besides itself. A room that is not here (app, cli, ...) is the outermost: it may import
anything, and nobody in here may import it.
`metrics` is the one adapter the others may know: they count with it."""

NOT_IN_PURE = {
    "aiohttp", "asterisk", "asyncio", "asyncpg", "concurrent", "glob", "http", "io", "logging", "multiprocessing", "os",
    "panoramisk", "pathlib", "queue", "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3",
    "ssl", "structlog", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "uvloop",
}  # fmt: skip
BUT_PURE = {"pathlib.PurePath", "pathlib.PurePosixPath"}
"""Names of those libraries that do no I/O."""

CLOCK_CALLS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now", "datetime.datetime.utcnow",
    "datetime.datetime.today", "datetime.date.today", "time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns",
    "time.perf_counter", "time.perf_counter_ns", "time.sleep",
}  # fmt: skip
NOT_CALLED_IN_PURE = CLOCK_CALLS | {"open", "print", "input", "breakpoint", "exec", "eval"}

KEPT_IN: dict[str, tuple[str, ...]] = {
    "panoramisk": ("cti.asterisk.ami.client",),
    "asterisk": ("cti.asterisk.agi.scripts",),
    "asyncpg": ("cti.store", "cti.crm"),
    "aiohttp.web": ("cti.web",),
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
    found: list[Import] = []

    def add(target: str, node: ast.stmt, only_types: bool) -> None:
        found.append(Import(target=target, line=node.lineno, only_types=only_types))

    def walk(node: ast.AST, only_types: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name, node, only_types)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(module, node)
            for alias in node.names:
                whole = f"{origin}.{alias.name}"
                add(whole if whole in known or whole in KEPT_IN or whole in BUT_PURE else origin, node, only_types)
        elif isinstance(node, ast.If):
            types = only_types or "TYPE_CHECKING" in ast.unparse(node.test)
            for child in node.body:
                walk(child, types)
            for child in node.orelse:
                walk(child, only_types)
        else:
            for child in ast.iter_child_nodes(node):
                walk(child, only_types)

    walk(module.tree, False)
    return found


def _origin(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    base = parts[: len(parts) - up]
    return ".".join([*base, node.module] if node.module else base)


def _calls(module: Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


# --- rules over the package -------------------------------------------------------------------------------------------


def wrong_direction(modules: dict[str, Module]) -> list[str]:
    """Imports against the arrows between the rooms."""
    out = []
    for module in modules.values():
        allowed = MAY_IMPORT.get(module.room)
        if allowed is None:
            continue
        for found in imports_of(module, modules):
            parts = found.target.split(".")
            if parts[0] != "cti" or len(parts) < 2 or parts[1] == module.room:
                continue
            where = f"{module.path}:{found.line}: {module.room} imports {found.target}"
            if parts[1] not in allowed:
                out.append(where)
            elif module.room in ADAPTERS and parts[1] == "services" and found.target not in SEAMS:
                out.append(f"{where} (an adapter may know only services.ports and services.floor)")
    return out


def impure(modules: dict[str, Module]) -> list[str]:
    """Libraries and calls that have no place in a pure room."""
    out = []
    for module in modules.values():
        if not module.is_pure:
            continue
        for found in imports_of(module, modules):
            if found.target.split(".")[0] in NOT_IN_PURE and found.target not in BUT_PURE:
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
                inside = any(module.name == place or module.name.startswith(place + ".") for place in places)
                if not inside and (found.target == library or found.target.startswith(library + ".")):
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
