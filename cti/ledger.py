"""Asterisk's event ledger beside the floor: what happened while no bridge watched, as facts.

The position read so far is kept in a small file and moves on only past calls the journal has closed; facts already known are
never inferred again, so a lost or old position costs a longer reading and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path

import structlog

from cti.asterisk.cel import KnownCall, LedgerFile, infer_facts, known_calls, settled_position
from cti.ids import CallId
from cti.model import facts as f
from cti.private_file import write_private
from cti.services.switchboard import Switchboard

SETTLE_EVERY = 30.0
"""Seconds between moving the kept position on."""

log = structlog.get_logger(__name__)


class CelLedger:
    """Satisfies `cti.services.dispatcher.Ledger` with a CEL file."""

    def __init__(self, file: LedgerFile, position_file: Path) -> None:
        self._file = file
        self._position_file = position_file

    async def missed(self, board: Switchboard, *, asterisk_started_at: datetime | None = None) -> Sequence[f.Fact]:
        """Facts of calls that the ledger has and the floor has not. Raises OSError."""
        read = await asyncio.to_thread(self._file.read, self._position())
        facts = infer_facts(read.events, _known(board), asterisk_started_at=asterisk_started_at)
        if read.skipped:
            log.warning("ledger_lines_unreadable", count=read.skipped)
        return facts

    async def follow(self, board: Switchboard) -> None:
        """While the bridge watches: keep the position near the end, so that the next start reads little."""
        while True:
            await asyncio.sleep(SETTLE_EVERY)
            try:
                read = await asyncio.to_thread(self._file.read, self._position())
                write_private(self._position_file, f"{settled_position(read, _known(board))}\n".encode())
            except OSError as error:
                log.warning("ledger_not_settled", error=str(error))

    def _position(self) -> int:
        try:
            return int(self._position_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0


def _known(board: Switchboard) -> dict[CallId, KnownCall]:
    return known_calls(chain.from_iterable(board.history.values()), closed=board.closed)
