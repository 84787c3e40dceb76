"""A machine of its own with a real systemd as its first process: namespaces of this one, no container image.

It has this machine's files, programs and network, but processes, mounts and control groups of its own; /etc is a copy, and /opt, /srv and /run
are empty at first. Needs root, systemd and control groups that may be made; `why_not` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEMD = Path("/lib/systemd/systemd")
USER_ID = 64990
"""Of the user `cti` on that machine; nobody here has it."""
TARGETS = (
    "sysinit",
    "basic",
    "shutdown",
    "umount",
    "final",
    "exit",
    "multi-user",
    "network",
    "network-online",
    "default",
)

BOOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /sys/fs/cgroup
if [ "$GROUPS_ARE" = 1 ]; then
    mkdir /sys/fs/cgroup/systemd
    mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/units
cp -a /etc /run/etc
mount --bind /run/etc /etc
echo "cti:x:$USER_ID:$USER_ID::/srv/cti-server:/usr/sbin/nologin" >> /etc/passwd
echo "cti:x:$USER_ID:" >> /etc/group
mkdir -p /etc/cti-server
cp "$FOLDER/environment" "$FOLDER/settings.toml" /etc/cti-server/
cp -r "$FOLDER/units/." /run/units/
cp "$REPOSITORY"/packaging/systemd/*.service /run/units/
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir -p /opt/python /opt/cti-server/.venv/bin /opt/cti-server/.venv/lib /opt/cti-server/source
mount --bind "$PYTHON" /opt/python
mount --bind "$VENV/lib" /opt/cti-server/.venv/lib
mount --bind "$REPOSITORY" /opt/cti-server/source
ln -s "/opt/python/bin/$PYTHON_IS" /opt/cti-server/.venv/bin/python
cp "$FOLDER/cti" /opt/cti-server/.venv/bin/cti
echo "home = /opt/python/bin" > /opt/cti-server/.venv/pyvenv.cfg
mount -t tmpfs -o mode=755 tmpfs /srv
mkdir -p /srv/cti-server
mount --bind "$FOLDER/data" /srv/cti-server
mkdir -p /srv/cti-server/cache/cti-server/asterisk-22 /srv/cti-server/prompts
mount --bind "$ASTERISK" /srv/cti-server/cache/cti-server/asterisk-22
[ ! -d "$PROMPTS" ] || cp -r "$PROMPTS/." /srv/cti-server/prompts
chown -R "$USER_ID:$USER_ID" /srv/cti-server/prompts
chown "$USER_ID:$USER_ID" /srv/cti-server /srv/cti-server/cache /srv/cti-server/cache/cti-server
export container=other SYSTEMD_UNIT_PATH=/run/units
exec /lib/systemd/systemd --system --log-target=null
"""


def _control_groups() -> tuple[Path, str]:
    """Where systemd's control groups are made, and whether of version 1 or 2."""
    first = Path("/sys/fs/cgroup/systemd")
    return (first, "1") if first.is_dir() else (Path("/sys/fs/cgroup"), "2")


def why_not(folder: Path) -> str:
    """Why such a machine cannot be had here; empty when it can."""
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    missing = [name for name in ("unshare", "nsenter", "systemctl") if shutil.which(name) is None]
    if missing or not SYSTEMD.exists():
        return f"not installed: {', '.join(missing) or 'systemd'} (Debian packages util-linux, systemd)"
    tried = subprocess.run(
        ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--uts", "--ipc", "--cgroup",
         "sh", "-c", f"mount --make-rprivate / && mount -t tmpfs tmpfs {folder}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode != 0:
        return f"namespaces may not be made here: {tried.stderr.strip()}"
    groups = _control_groups()[0] / f"cti-test-{os.getpid()}"
    try:
        groups.mkdir()
        groups.rmdir()
    except OSError as error:
        return f"control groups may not be made here: {error}"
    return ""


class Machine:
    """Boots with the units of packaging/systemd, none of them started. Use as a context manager."""

    def __init__(self, folder: Path, *, asterisk: Path, prompts: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        """What the units call /srv/cti-server."""
        self._asterisk, self._prompts = asterisk, prompts
        self._environment = environment
        self._groups = _control_groups()[0] / f"cti-test-{os.getpid()}-{time.monotonic_ns()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Machine:
        (self.folder / "units").mkdir(parents=True)
        self.data.mkdir()
        for target in TARGETS:
            (self.folder / "units" / f"{target}.target").write_text(
                "[Unit]\nDefaultDependencies=no\n", encoding="utf-8"
            )
        for unit in ("cti-centre", "cti-asterisk", "cti-bridge"):
            said = self.folder / "units" / f"{unit}.service.d"
            said.mkdir()
            # There is no journald.
            path = f"/srv/cti-server/{unit}.said"
            (said / "log.conf").write_text(
                f"[Service]\nStandardOutput=append:{path}\nStandardError=append:{path}\n", encoding="utf-8"
            )
        # That of the environment names the folder where it was made.
        script = self.folder / "cti"
        script.write_text("#!/opt/cti-server/.venv/bin/python\nfrom cti.cli import main\nmain()\n", encoding="utf-8")
        script.chmod(0o755)
        told = {
            "PYTHONPATH": "/opt/cti-server/source",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": "/opt/python/lib",
            **self._environment,
        }
        (self.folder / "environment").write_text("".join(f"{k}='{v}'\n" for k, v in told.items()), encoding="utf-8")
        (self.folder / "settings.toml").write_text("", encoding="utf-8")
        self._groups.mkdir()
        env = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "FOLDER": str(self.folder),
            "REPOSITORY": str(REPOSITORY),
            "VENV": sys.prefix,
            # Perhaps below somebody's home, which the units do not see.
            "PYTHON": sys.base_prefix,
            "PYTHON_IS": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "PROMPTS": str(self._prompts),
            "ASTERISK": str(self._asterisk),
            "USER_ID": str(USER_ID),
            "GROUPS_ARE": _control_groups()[1],
        }
        enter = f'echo $$ > {self._groups}/cgroup.procs && exec unshare --fork --kill-child --pid --mount --mount-proc --uts --ipc --cgroup sh -c "$BOOT"'
        self._said = (self.folder / "boot.log").open("wb")
        self._process = subprocess.Popen(
            ["sh", "-c", enter], env={**env, "BOOT": BOOT}, stdout=self._said, stderr=self._said
        )
        self.until(lambda: "running" in self.systemctl("is-system-running").stdout, "systemd to boot")
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)  # --kill-child: its systemd goes, and with that all its processes
            self._process.wait(20)
        self._said.close()
        deadline = time.monotonic() + 20
        while self._groups.exists() and time.monotonic() < deadline:
            for group in sorted(self._groups.rglob("*/"), key=lambda path: -len(path.parts)):
                self._remove(group)
            self._remove(self._groups)
            time.sleep(0.05)

    @staticmethod
    def _remove(group: Path) -> None:
        try:
            group.rmdir()
        except OSError:
            return  # a process of it is still ending

    @property
    def pid(self) -> int:
        """The machine's first process, as seen from here."""
        assert self._process is not None
        children = (
            Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="ascii").split()
        )
        return int(children[0]) if children else 0

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        return subprocess.run(
            ["nsenter", "--target", str(self.pid), "--all", *command],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_UNIT_PATH": "/run/units"},
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def systemctl(self, *arguments: str, timeout: float = 150) -> subprocess.CompletedProcess[str]:
        """`systemctl` there."""
        return self.run("systemctl", "--no-pager", *arguments, timeout=timeout)

    def start(self, *units: str) -> None:
        """Start units; what systemd says of them when it cannot."""
        done = self.systemctl("start", *units)
        if done.returncode != 0:
            raise AssertionError(f"{done.stderr}\n{self.systemctl('status', *units).stdout}\n{self._heard()}")

    def _heard(self) -> str:
        return "\n".join(
            f"{path.name}:\n{path.read_text(errors='replace')[-3000:]}" for path in self.data.glob("*.said")
        )

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", "--value", "--property", name, unit).stdout.strip()

    def until(self, fits: object, what: str, *, within: float = 60) -> float:
        """Wait until `fits()` is true; gives the seconds it took."""
        assert callable(fits)
        began = time.monotonic()
        while time.monotonic() - began < within:
            if fits():
                return time.monotonic() - began
            assert self._process is None or self._process.poll() is None, (self.folder / "boot.log").read_text()
            time.sleep(0.05)
        raise AssertionError(f"waited {within} s for {what}\n{self._heard()}")
