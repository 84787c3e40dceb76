"""A sorted list in short pieces: the n-th place of a caller in a long queue, at once."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=tuple[Any, ...])

PIECE = 512
"""A piece is cut in two when it is longer than twice this."""


class Order(Generic[K]):
    """Distinct keys in ascending order. `add`, `remove` and `rank` cost O(log n + n / PIECE)."""

    __slots__ = ("_pieces", "_tails")

    def __init__(self) -> None:
        self._pieces: list[list[K]] = []
        self._tails: list[K] = []
        """The last key of each piece."""

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self) -> Iterator[K]:
        for piece in self._pieces:
            yield from piece

    def add(self, key: K) -> None:
        """Put `key` in. It must not be in."""
        if not self._pieces:
            self._pieces.append([key])
            self._tails.append(key)
            return
        at = min(bisect_left(self._tails, key), len(self._tails) - 1)
        piece = self._pieces[at]
        insort(piece, key)
        if len(piece) > 2 * PIECE:
            self._pieces.insert(at + 1, piece[PIECE:])
            del piece[PIECE:]
            self._tails.insert(at, piece[-1])
            at += 1
        self._tails[at] = self._pieces[at][-1]

    def remove(self, key: K) -> None:
        """Take `key` out. KeyError when it is not in."""
        at = bisect_left(self._tails, key)
        piece = self._pieces[at] if at < len(self._pieces) else []
        within = bisect_left(piece, key)
        if within == len(piece) or piece[within] != key:
            raise KeyError(key)
        del piece[within]
        if piece:
            self._tails[at] = piece[-1]
        else:
            del self._pieces[at], self._tails[at]

    def rank(self, key: K) -> int:
        """How many keys are smaller than `key`."""
        at = bisect_left(self._tails, key)
        before = sum(len(self._pieces[i]) for i in range(at))
        return before + (bisect_left(self._pieces[at], key) if at < len(self._pieces) else 0)
