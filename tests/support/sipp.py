"""SIPp as callers: scenarios are the XML files in `tests/support/sipp`; counts come from SIPp's own statistics."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCENARIOS = Path(__file__).parent / "sipp"


@dataclass(frozen=True, slots=True, kw_only=True)
class SippResult:
    """What SIPp counted."""

    status: int
    successful: int
    failed: int
    output: str


class Sipp:
    """One SIPp process making `calls` calls at `rate` a second from `local` to `remote` (host, port).

    `scenario` is the name of a file without `.xml`, or a Path. Use as an asynchronous context manager; the process is
    ended at the end if it still runs. With `echo` the callers say back what they hear (RTP).
    """

    def __init__(
        self,
        scenario: str | Path,
        *,
        local: str,
        remote: tuple[str, int],
        service: str = "5000",
        calls: int = 1,
        rate: float = 1.0,
        limit: int | None = None,
        keys: Mapping[str, str] | None = None,
        pause_ms: int | None = None,
        timeout_seconds: int = 300,
        echo: bool = False,
    ) -> None:
        file = scenario if isinstance(scenario, Path) else SCENARIOS / f"{scenario}.xml"
        self._folder = tempfile.TemporaryDirectory(prefix="cti-sipp-")
        whole = int(rate * 1000)
        self._argv = [
            "sipp", f"{remote[0]}:{remote[1]}",
            "-sf", str(file), "-i", local, "-s", service, "-m", str(calls),
            "-r", str(whole), "-rp", "1000000", "-l", str(limit or max(10, calls)),
            "-nostdin", "-timeout", f"{timeout_seconds}s", "-timeout_error",
            "-trace_stat", "-stf", str(Path(self._folder.name) / "stat.csv"), "-fd", "1",
            "-trace_err", "-error_file", str(Path(self._folder.name) / "errors.txt"),
        ]  # fmt: skip
        for name, value in (keys or {}).items():
            self._argv += ["-key", name, value]
        if echo:
            self._argv.append("-rtp_echo")
        if pause_ms is not None:
            self._argv += ["-d", str(pause_ms)]
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Sipp:
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=self._folder.name,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
        self._folder.cleanup()

    async def finished(self) -> SippResult:
        """Wait for its end and return its counts."""
        assert self._process is not None
        _, errors = await self._process.communicate()
        folder = Path(self._folder.name)
        rows: list[dict[str, str]] = []
        with contextlib.suppress(FileNotFoundError), (folder / "stat.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        text = errors.decode("utf-8", "replace")
        with contextlib.suppress(FileNotFoundError):
            text += (folder / "errors.txt").read_text(encoding="utf-8", errors="replace")
        last = rows[-1] if rows else {}
        return SippResult(
            status=self._process.returncode or 0,
            successful=int(last.get("SuccessfulCall(C)") or 0),
            failed=int(last.get("FailedCall(C)") or 0),
            output=text[-4000:],
        )


async def run_sipp(scenario: str | Path, **options: object) -> SippResult:
    """Run SIPp to its end."""
    async with Sipp(scenario, **options) as sipp:  # type: ignore[arg-type]
        return await sipp.finished()
