"""The centre's file and its former versions: replaced whole or not at all, nothing ever lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cti.errors import ConfigError
from cti.private_file import write_private

FOLDER = "centre-versions"
"""In the data folder."""


_BASE = re.compile(r"^# cti-version: ([0-9a-f]{12})\b.*\n?", re.MULTILINE)


def with_base(text: str, version: str) -> str:
    """The text with a first line that says which version it is, for whoever edits it and applies it again."""
    return f"# cti-version: {version} (apply compares it; leave this line)\n{text}"


def base_of(text: str) -> tuple[str, str]:
    """The text without that line, and the version it names (empty: none is named)."""
    found = _BASE.search(text)
    return (text, "") if found is None else (text[: found.start()] + text[found.end() :], found[1])


def version_of(text: str) -> str:
    """A short name of the text: the same for the same text, practically never for another."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


class CentreVersions:
    """One centre's file at `path`, its former versions in `folder` as `<when it was replaced>-<version>.yaml`."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self.folder = folder

    def read(self) -> str | None:
        """The file's text; None when there is none, or it cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def replace(self, text: str, *, at: datetime, keep: Iterable[str]) -> tuple[Path, ...]:
        """Write `text` as the centre's file; what it replaces, and the texts of `keep`, are kept as versions first.

        Gives the versions' files. Raises `ConfigError` when something cannot be written; the file is as it was then.
        """
        on_disk = self.read()
        former = dict.fromkeys(old for old in (*keep, on_disk) if old is not None and old != text)
        try:
            kept = tuple(self._keep(old, at) for old in former)
            if on_disk != text:
                self._write(text)
        except OSError as error:
            raise ConfigError(
                f"{error.filename or self.path}: {error.strerror}",
                remedy="the centre's file and its folder must be writable for the user the centre runs as",
            ) from None
        return kept

    def _keep(self, text: str, at: datetime) -> Path:
        file = self.folder / f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{version_of(text)}.yaml"
        write_private(file, text.encode())
        return file

    def _write(self, text: str) -> None:
        # The file itself where `path` is a link to it, with the rights it has: it may lie in somebody's repository.
        path = self.path.resolve()
        mode = 0o600
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(path.stat().st_mode)
        write_private(path, text.encode())
        os.chmod(path, mode)
