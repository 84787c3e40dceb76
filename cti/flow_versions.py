"""Versions of flows on disk: every text that was ever live or a draft, and the log of who changed what when.

`<folder>/<flow>/<version>.yaml` is written once and never again: the version is made from the text. `<folder>/log.jsonl`
has one line a change and is only ever added to; a line that a power cut left unfinished never happened.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cti.errors import ConfigError
from cti.ids import FlowName
from cti.ivr.editions import Action, Change, History
from cti.ivr.parser import version_of
from cti.private_file import write_private

FOLDER = "flow-versions"
"""In the data folder."""
LOG = "log.jsonl"


class FlowVersions:
    """The versions of one centre's flows in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = folder / LOG

    def read(self) -> History:
        """All changes there were. Raises `ConfigError` when the log cannot be read."""
        try:
            content = self._log.read_bytes()
        except FileNotFoundError:
            return History()
        except OSError as error:
            raise self._trouble(error) from None
        return self._history(content)

    def keep(self, flow: FlowName, text: str) -> str:
        """Keep a text; gives its version. Nothing is written twice. Raises `ConfigError`."""
        version = version_of(text)
        file = self._file(flow, version)
        try:
            if not file.exists():
                write_private(file, text.encode())
        except OSError as error:
            raise self._trouble(error) from None
        return version

    def text(self, flow: FlowName, version: str) -> str | None:
        """A version's text; None when it is not here, or is not what was kept."""
        try:
            text = self._file(flow, version).read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            return None
        return text if version_of(text) == version else None

    def append(self, change: Change) -> None:
        """Add a change to the log; it is on the disk when this returns.

        Raises `ConfigError`, and nothing is added, when it does not follow the last one: somebody else changed something.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._log, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(handle, "r+b") as log:
                fcntl.flock(log, fcntl.LOCK_EX)
                content = log.read()
                if self._history(content).now.number != change.edition - 1:
                    raise ConfigError(
                        "somebody else changed the flows at this moment", remedy="look at them again, and repeat it"
                    )
                log.seek(content.rfind(b"\n") + 1)
                log.truncate()
                log.write(json.dumps(_row(change), ensure_ascii=False).encode() + b"\n")
                log.flush()
                os.fsync(log.fileno())
        except OSError as error:
            raise self._trouble(error) from None

    def _file(self, flow: FlowName, version: str) -> Path:
        return self.folder / flow / f"{version}.yaml"

    def _history(self, content: bytes) -> History:
        history = History()
        for number, line in enumerate(content.split(b"\n")[:-1], 1):
            try:
                history.add(_change(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise ConfigError(
                    f"{self._log}:{number}: not a change of flows",
                    remedy="mend the line from a backup; without the file the flows of the folder are live",
                ) from None
        return history

    def _trouble(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"{error.filename or self.folder}: {error.strerror or error}",
            remedy="the data folder must be writable for the user the centre runs as",
        )


def _row(change: Change) -> Mapping[str, Any]:
    return {
        "edition": change.edition,
        "at": change.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "action": change.action.value,
        "flows": dict(change.flows),
        "by": change.by,
        "note": change.note,
    }


def _change(row: Mapping[str, Any]) -> Change:
    return Change(
        edition=int(row["edition"]),
        at=datetime.fromisoformat(row["at"]),
        action=Action(row["action"]),
        flows={FlowName(str(flow)): str(version) for flow, version in row["flows"].items()},
        by=str(row["by"]),
        note=str(row["note"]),
    )
