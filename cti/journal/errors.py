"""What can go wrong with the journal."""

from __future__ import annotations

from cti.errors import CtiError


class JournalError(CtiError):
    """The journal could not be opened, or facts are not on the disk.

    Raised by `append` for the first facts that could not be written; `kept` is True when they are still in memory and
    will be written as soon as the disk allows, so the caller must not append them again.
    """

    error_id = "journal_failed"

    def __init__(self, message: str, *, kept: bool = False, remedy: str = "", **fields: object) -> None:
        super().__init__(message, remedy=remedy, **fields)
        self.kept = kept
