"""A sorted list in short pieces: the first of many callers or agents, and anybody's place among them, at once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Container, Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=tuple[Any, ...])

PIECE = 256
"""A piece is cut in two when it is longer than twice this."""


class Order(Generic[K]):
    """Distinct keys in ascending order; the last part of a key is the id of what it stands for.

    `add`, `remove` and `rank` cost O(log n + n / PIECE); taking the first away costs O(1), and looking at it nothing.
    """

    __slots__ = ("_pieces", "_tails", "head")

    def __init__(self) -> None:
        self._pieces: list[list[K]] = []
        self._tails: list[K] = []
        """The last key of each piece."""
        self.head: K | None = None
        """The smallest key. To be read only."""

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self) -> Iterator[K]:
        for piece in self._pieces:
            yield from piece

    def add(self, key: K) -> None:
        """Put `key` in. It must not be in."""
        pieces, tails = self._pieces, self._tails
        if not pieces:
            pieces.append([key])
            tails.append(key)
            self.head = key
            return
        if key > tails[-1]:
            # Most callers come last.
            at = len(pieces) - 1
            piece = pieces[at]
            piece.append(key)
            tails[at] = key
        else:
            at = bisect_left(tails, key)
            piece = pieces[at]
            insort(piece, key)
        if len(piece) > 2 * PIECE:
            pieces.insert(at + 1, piece[PIECE:])
            del piece[PIECE:]
            tails.insert(at, piece[-1])
        self.head = pieces[0][0]

    def remove(self, key: K) -> None:
        """Take `key` out. KeyError when it is not in."""
        pieces = self._pieces
        if key is self.head:
            piece = pieces[0]
            del piece[0]
            if piece:
                self.head = piece[0]
                return
            at = within = 0
        else:
            at = bisect_left(self._tails, key)
            piece = pieces[at] if at < len(pieces) else []
            within = bisect_left(piece, key)
            if within == len(piece) or piece[within] != key:
                raise KeyError(key)
            del piece[within]
        if not piece:
            del pieces[at], self._tails[at]
        elif within == len(piece):
            self._tails[at] = piece[-1]
        self.head = pieces[0][0] if pieces else None

    def rank(self, key: K) -> int:
        """How many keys are smaller than `key`."""
        at = bisect_left(self._tails, key)
        before = sum(len(self._pieces[i]) for i in range(at))
        return before + (bisect_left(self._pieces[at], key) if at < len(self._pieces) else 0)

    def nth(self, n: int) -> K | None:
        """The key with `n` smaller ones, or None."""
        for piece in self._pieces:
            if n < len(piece):
                return piece[n]
            n -= len(piece)
        return None

    def first(self, n: int) -> list[K]:
        """The `n` smallest keys."""
        if not self._pieces:
            return []
        found = self._pieces[0][:n]
        for piece in self._pieces[1:]:
            if len(found) == n:
                break
            found += piece[: n - len(found)]
        return found

    def first_except(self, ids: Container[Any]) -> K | None:
        """The smallest key whose id is not among `ids`, or None. Costs as much as keys are skipped."""
        head = self.head
        if head is None or head[-1] not in ids:
            return head
        return next((key for key in self if key[-1] not in ids), None)
