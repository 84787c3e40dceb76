"""What the web asks of the customer file, as one value."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from cti.services.customer_file import CustomerFile, CustomerImports, CustomerMerging, CustomerPrivacy, FileFormat


class CustomerExports(Protocol):
    """Customers as a file."""

    def export(self, format: FileFormat, *, tag: str = "", text: str = "") -> AsyncIterator[bytes]:
        """The file in pieces."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerRooms:
    """The parts of the customer file."""

    file: CustomerFile
    merging: CustomerMerging
    imports: CustomerImports
    exports: CustomerExports
    privacy: CustomerPrivacy
