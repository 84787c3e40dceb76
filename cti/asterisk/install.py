"""Find an Asterisk that will do, or unpack one without root and without touching the system.

Order: the binary named in the settings, `asterisk` on PATH, an Asterisk 22 unpacked earlier, and last a fresh unpacking
from Debian testing. The unpacking uses an apt configuration of its own (own state, own cache, empty package status), so
the machine's package database is neither read nor written; the mirror's address, proxies and certificates are the
machine's own, and the Debian archive keyring of the machine verifies every signature. The unpacked Asterisk runs
through its own loader, because it was built against a newer C library than the machine may have.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cti.errors import ConfigError, CtiError
from cti.settings import Settings

SUITE = "forky"
"""Debian testing's code name: the suite that carries Asterisk 22 (an LTS). Debian 12 and 13 carry none."""

PACKAGES = ("asterisk", "asterisk-core-sounds-en", "asterisk-moh-opsound-gsm")
MARKER = "unpacked.json"
MARKER_FORMAT = 1
LEAST_VERSION = (22, 0, 0)
ADVISED_VERSION = (22, 10, 1)
"""Versions below have published security holes."""

NEEDED_MODULES = (
    "app_dial", "app_mixmonitor", "app_queue", "app_record", "app_userevent", "chan_pjsip", "cel_custom", "func_channel",
    "pbx_config", "res_agi", "res_musiconhold", "res_pjsip", "res_pjsip_transport_websocket", "res_srtp",
)  # fmt: skip
"""Without these the product cannot work; most others are optional (see render.py)."""

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
_COMMAND_SECONDS = 900

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)`; `step` is a short phrase for people. What it raises ends the work."""


class AsteriskUnavailable(CtiError):
    """No usable Asterisk, and none could be unpacked. Nothing was changed; trying again is safe."""

    error_id = "asterisk_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsteriskBinary:
    """An Asterisk that can be started, and where its parts lie."""

    argv: tuple[str, ...]
    """Command that starts it, own loader included; options are appended."""
    version: str
    modules: Path
    sounds: Path
    """Folder that holds `en/`."""
    music: Path
    """Folder of the packaged music on hold; may be missing on an Asterisk of one's own."""
    share: Path
    """Asterisk's read-only data folder (documentation, static pages)."""
    origin: Literal["settings", "path", "unpacked"]
    warnings: tuple[str, ...] = ()
    """What a person should know about it (an outdated version, for example)."""

    def module_exists(self, name: str) -> bool:
        """Whether the module `name` (without `.so`) is there to be loaded."""
        return (self.modules / f"{name}.so").is_file()


def ensure_asterisk(settings: Settings, progress: Progress) -> AsteriskBinary:
    """An Asterisk that will do: found, or unpacked now into `settings.asterisk_root`.

    Blocking: an unpacking takes some 20 s and 350 MB of disk. Safe when several processes do it at once: one unpacks,
    the others wait for it. Raises `ConfigError` when the binary named in the settings will not do, and
    `AsteriskUnavailable` when none is there and none can be had.
    """
    unpacked, refused = find_asterisk(settings)
    if settings.asterisk.binary is not None and unpacked is None:
        raise ConfigError(
            refused, remedy="name an Asterisk 22 (22.10.1 or later), or remove the setting so that one is unpacked"
        )
    root = settings.asterisk_root
    if unpacked is None:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _locked(root.parent / f"{root.name}.lock", progress):
            unpacked = _unpacked(root)
            if unpacked is None:
                _unpack(root, progress)
                unpacked = _unpacked(root)
    if unpacked is None:  # the marker was written a moment ago, so its binary does not run here
        raise AsteriskUnavailable(
            f"{root}: the unpacked Asterisk does not start" + (f" ({refused})" if refused else ""),
            remedy="remove that folder and try again; if it happens again, install Asterisk 22 and set asterisk.binary",
        )
    return unpacked


def find_asterisk(settings: Settings) -> tuple[AsteriskBinary | None, str]:
    """The Asterisk `ensure_asterisk` would use without unpacking anything; None when there is none.

    The text says which ones were found and will not do, and why; empty when there was none to refuse.
    """
    named = settings.asterisk.binary
    if named is not None:
        found, why = _examine(named.expanduser().absolute(), "settings")
        return found, "" if found is not None else f"asterisk.binary = {named}: {why}"
    on_path = shutil.which("asterisk", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin:/usr/local/sbin")
    refused = ""
    if on_path is not None:
        found, why = _examine(Path(on_path), "path")
        if found is not None:
            return found, ""
        refused = f"{on_path} will not do: {why}"
    return _unpacked(settings.asterisk_root), refused


def version_numbers(text: str) -> tuple[int, int, int] | None:
    """The three numbers in "Asterisk 22.10.1~dfsg-1" (missing ones are 0); None when there are none."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def _examine(binary: Path, origin: Literal["settings", "path"]) -> tuple[AsteriskBinary | None, str]:
    """Look at an installed Asterisk: the value, or None and why it will not do."""
    version, why = _ask_version((str(binary),))
    if not version:
        return None, why
    numbers = version_numbers(version)
    if numbers is None or numbers < LEAST_VERSION:
        return None, f"version {version} is older than 22"
    modules, share = _installed_folders(binary)
    if modules is None:
        return None, "its modules folder was not found (astmoddir in asterisk.conf)"
    missing = [name for name in NEEDED_MODULES if not (modules / f"{name}.so").is_file()]
    if missing:
        return None, f"modules missing in {modules}: {', '.join(missing)}"
    advised = ".".join(map(str, ADVISED_VERSION))
    warnings = (
        (f"Asterisk {version} has known security holes; {advised} or later is advised",)
        if numbers < ADVISED_VERSION
        else ()
    )
    return (
        AsteriskBinary(
            argv=(str(binary),),
            version=version,
            modules=modules,
            sounds=share / "sounds",
            music=share / "moh",
            share=share,
            origin=origin,
            warnings=warnings,
        ),
        "",
    )


def _installed_folders(binary: Path) -> tuple[Path | None, Path]:
    """Modules folder and data folder of an installed Asterisk: as its asterisk.conf says, else the usual places."""
    said: dict[str, Path] = {}
    try:
        for line in Path("/etc/asterisk/asterisk.conf").read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"\s*(astmoddir|astdatadir)\s*=>?\s*([^;]+)", line)
            if match:
                said[match[1]] = Path(match[2].strip())
    except OSError:
        pass
    prefix = binary.resolve().parent.parent
    places = [said["astmoddir"]] if "astmoddir" in said else []
    places += [prefix / "lib" / "asterisk" / "modules", prefix / "lib64" / "asterisk" / "modules"]
    places += sorted((prefix / "lib").glob("*/asterisk/modules"))
    modules = next((place for place in places if (place / "chan_pjsip.so").is_file()), None)
    shares = [said["astdatadir"]] if "astdatadir" in said else []
    shares += [prefix / "share" / "asterisk", Path("/var/lib/asterisk")]
    share = next((place for place in shares if (place / "sounds").is_dir()), shares[0])
    return modules, share


def _ask_version(argv: Sequence[str]) -> tuple[str, str]:
    """The version an Asterisk tells (`-V`), or "" and the reason."""
    try:
        done = subprocess.run([*argv, "-V"], capture_output=True, text=True, timeout=30, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"it does not start: {error}"
    words = done.stdout.split()
    if done.returncode != 0 or len(words) < 2 or words[0] != "Asterisk":
        return "", f"it does not tell its version: {(done.stdout + done.stderr).strip()[:200]!r}"
    return words[1], ""


def _unpacked(root: Path) -> AsteriskBinary | None:
    """The Asterisk unpacked earlier into `root`, or None."""
    try:
        marker = json.loads((root / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(marker, dict) or marker.get("format") != MARKER_FORMAT:
        return None
    libraries = next(iter(sorted(root.glob("usr/lib/*/asterisk/modules"))), None)
    if libraries is None:
        return None
    lib = libraries.parent.parent
    loader = next(iter(sorted(lib.glob("ld-linux*.so.*"))), None)
    if loader is None:
        return None
    argv = (str(loader), "--library-path", f"{lib}:{lib / 'asterisk'}", str(root / "usr/sbin/asterisk"))
    version, _ = _ask_version(argv)
    if not version:
        return None
    share = root / "usr/share/asterisk"
    return AsteriskBinary(
        argv=argv,
        version=version,
        modules=libraries,
        sounds=share / "sounds",
        music=share / "moh",
        share=share,
        origin="unpacked",
    )


@contextmanager
def _locked(file: Path, progress: Progress) -> Iterator[None]:
    """Hold an exclusive lock on `file`; the kernel gives it back when the holder dies."""
    with file.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that is unpacking Asterisk", 0, 1)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _unpack(root: Path, progress: Progress) -> None:
    """Download the packages with their closure, unpack them beside `root`, and rename when complete."""
    _refuse_other_systems()
    if root.exists() and any(root.iterdir()) and not (root / MARKER).is_file():
        raise AsteriskUnavailable(
            f"{root} holds something that is not an unpacked Asterisk",
            remedy="remove it, or set asterisk.root to another folder",
        )
    for kind in ("new", "old"):  # left by somebody who was killed: whoever is here holds the lock
        for left in root.parent.glob(f"{root.name}.{kind}-*"):
            shutil.rmtree(left, ignore_errors=True)
    work = root.parent / f"{root.name}.apt"
    packages = _download(work, progress)
    fresh = Path(tempfile.mkdtemp(prefix=f"{root.name}.new-", dir=root.parent))
    try:
        fresh.chmod(0o755)
        versions: dict[str, str] = {}
        for done, package in enumerate(packages):
            progress("unpacking Asterisk", done, len(packages))
            name, version = package.name.split("_")[:2]
            versions[name] = version.replace("%3a", ":")
            _run(["dpkg-deb", "-x", str(package), str(fresh)], f"unpacking {package.name}")
        marker = {"format": MARKER_FORMAT, "asterisk": versions.get("asterisk", ""), "packages": versions}
        (fresh / MARKER).write_text(json.dumps(marker, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if root.exists():
            # An unfit earlier unpacking (other format, or it no longer starts): moved aside first, so that `root` is
            # never half old and half new.
            old = Path(tempfile.mkdtemp(prefix=f"{root.name}.old-", dir=root.parent))
            root.rename(old / "root")
            fresh.rename(root)
            shutil.rmtree(old, ignore_errors=True)
        else:
            fresh.rename(root)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    progress("unpacking Asterisk", len(packages), len(packages))


def _refuse_other_systems() -> None:
    """Raise unless this is a machine whose own tools can unpack Debian packages."""
    if platform.system() != "Linux":
        raise AsteriskUnavailable(
            f"Asterisk cannot be unpacked on {platform.system()}",
            remedy="run the centre on Debian, or install Asterisk 22.10.1 or later and set asterisk.binary",
        )
    missing = [tool for tool in ("apt-get", "dpkg-deb", "dpkg") if shutil.which(tool) is None]
    if missing:
        raise AsteriskUnavailable(
            f"no Asterisk 22 was found, and {', '.join(missing)} is missing, so none can be unpacked",
            remedy="install Asterisk 22.10.1 or later with this system's own tools and set asterisk.binary",
        )
    if not any(path.is_file() for path in KEYRINGS):
        raise AsteriskUnavailable(
            "the Debian archive keyring is missing, so downloads could not be verified",
            remedy="install the package debian-archive-keyring, or install Asterisk 22 and set asterisk.binary",
        )


def _mirror() -> str:
    """Address of the Debian mirror this machine uses, from its own apt settings."""
    rows = _run(
        ["apt-get", "indextargets", "--format", "$(CREATED_BY)|$(COMPONENT)|$(CODENAME)|$(LABEL)|$(REPO_URI)"],
        "reading this machine's apt sources",
    ).splitlines()
    best: list[tuple[int, str]] = []
    for row in rows:
        parts = row.split("|", 4)
        if len(parts) != 5 or parts[0] != "Packages" or parts[1] != "main" or not parts[4]:
            continue
        _, _, codename, label, uri = parts
        # Codename and label come from downloaded lists; a fresh image has none, then the address alone must do.
        if "security" in codename or "security" in uri.rstrip("/").rsplit("/", 1)[-1]:
            continue
        if label not in ("", "Debian"):
            continue
        best.append((0 if label == "Debian" else 1, uri))
    if not best:
        raise AsteriskUnavailable(
            "this machine's apt settings name no Debian mirror (main)",
            remedy="add a Debian mirror to apt's sources, or install Asterisk 22.10.1 or later and set asterisk.binary",
        )
    return min(best, key=lambda pair: pair[0])[1]


def _download(work: Path, progress: Progress) -> list[Path]:
    """Bring the packages and all they need into `work`/archives; those there already are not fetched again."""
    mirror = _mirror()
    architecture = _run(["dpkg", "--print-architecture"], "asking for the architecture").strip()
    keyring = next(path for path in KEYRINGS if path.is_file())
    for folder in ("state/lists/partial", "archives/partial", "etc"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "status").write_text("", encoding="utf-8")
    sources = work / "sources.list"
    sources.write_text(f"deb [arch={architecture} signed-by={keyring}] {mirror} {SUITE} main\n", encoding="utf-8")
    configuration = work / "apt.conf"
    # Read after the machine's own files, so its proxies and certificates hold and only these are overruled. The hooks
    # are cleared because they act on the system's cache (container images empty it after every update).
    configuration.write_text(
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
        "#clear DPkg::Pre-Invoke;\n#clear DPkg::Post-Invoke;\n#clear DPkg::Pre-Install-Pkgs;\n#clear APT::Default-Release;\n"
        + "".join(
            f'{key} "{value}";\n'
            for key, value in {
                "Dir::State": work / "state",
                "Dir::State::status": work / "status",
                "Dir::State::extended_states": work / "extended_states",
                "Dir::Cache": work,
                "Dir::Cache::archives": work / "archives",
                "Dir::Cache::pkgcache": "",
                "Dir::Cache::srcpkgcache": "",
                "Dir::Log": work,
                "Dir::Etc::sourcelist": sources,
                "Dir::Etc::sourceparts": "/dev/null",
                "Dir::Etc::preferences": "/dev/null",
                "Dir::Etc::preferencesparts": "/dev/null",
                "APT::Architecture": architecture,
                "APT::Install-Recommends": "false",
                "APT::Install-Suggests": "false",
                "APT::Keep-Downloaded-Packages": "true",
                "APT::Sandbox::User": "root",
                "Acquire::Languages": "none",
                "Acquire::Retries": "3",
                "Binary::apt::APT::Keep-Downloaded-Packages": "true",
            }.items()
        ),
        encoding="utf-8",
    )
    apt = ["apt-get", "-c", str(configuration), "-y", "-q"]
    progress("reading the Debian package index", 0, 1)
    _run([*apt, "update", "-o", "APT::Update::Error-Mode=any"], f"reading the package index of Debian {SUITE}")
    progress("reading the Debian package index", 1, 1)
    wanted = _run([*apt, "--print-uris", "install", *PACKAGES], "resolving Asterisk's packages")
    names = re.findall(r"^'[^']+' (\S+\.deb) \d+", wanted, flags=re.MULTILINE)
    _fetch([*apt, "--download-only", "install", *PACKAGES], progress)
    # With an empty status every package of the closure is named by --print-uris until it lies in the cache, so the
    # simulation is the complete list whatever was cached before.
    closure = re.findall(
        r"^Inst (\S+) \((\S+) ", _run([*apt, "--simulate", "install", *PACKAGES], "listing the packages"), re.MULTILINE
    )
    found = []
    for name, version in closure:
        stem = f"{name.split(':')[0]}_{version.replace(':', '%3a')}_"
        match = next(iter(sorted((work / "archives").glob(f"{stem}*.deb"))), None)
        if match is None:
            raise AsteriskUnavailable(
                f"package {name} {version} was not downloaded (of {len(closure)}, {len(names)} fetched)",
                remedy="try again; if it happens again, check disk space and the apt settings of this machine",
            )
        found.append(match)
    for stale in set((work / "archives").glob("*.deb")) - set(found):
        stale.unlink(missing_ok=True)
    return found


def _fetch(command: Sequence[str], progress: Progress) -> None:
    """Run apt's download and pass its percentage on."""
    reader, writer = os.pipe()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        try:
            process = subprocess.Popen(
                [*command, "-o", f"APT::Status-Fd={writer}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(writer,),
                env=_environment(),
            )
        finally:
            os.close(writer)
        try:
            with os.fdopen(reader, encoding="utf-8", errors="replace") as lines:
                for line in lines:  # "dlstatus:<file>:<percent>:<words>"
                    match = re.match(r"dlstatus:\d+:([\d.]+):", line)
                    if match:
                        progress("downloading Asterisk", int(float(match[1])), 100)
        except BaseException:
            process.terminate()
            process.wait(timeout=_COMMAND_SECONDS)
            raise
        code = process.wait(timeout=_COMMAND_SECONDS)
        output.seek(0)
        if code != 0:
            raise _failed("downloading Asterisk's packages", output.read())
    progress("downloading Asterisk", 100, 100)


def _environment() -> dict[str, str]:
    """The machine's environment (proxies and all), with the C locale so that output can be read."""
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _run(command: Sequence[str], doing: str) -> str:
    """Run a command and return what it printed; raises `AsteriskUnavailable` with its last lines."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=_environment(),
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(doing, str(error)) from error
    if done.returncode != 0:
        raise _failed(doing, done.stdout + done.stderr)
    return done.stdout


def _failed(doing: str, output: str) -> AsteriskUnavailable:
    """The error for a step that failed, with the lines that tell why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("E:", "W:", "Err:", "dpkg-deb:"))] or lines
    text = " | ".join(telling[-4:])
    remedy = "check that this machine can reach its Debian mirror (apt-get update), or set asterisk.binary"
    if "No space left" in output:
        remedy = "free some 500 MB of disk, or set asterisk.root to a folder with more room"
    elif "NO_PUBKEY" in output or "not signed" in output:
        remedy = "update the package debian-archive-keyring (the suite is signed by newer keys), then try again"
    elif "Permission denied" in output:
        remedy = "set asterisk.root to a folder you may write to"
    return AsteriskUnavailable(f"{doing} failed: {text}", remedy=remedy)
