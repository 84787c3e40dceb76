"""A heap whose entries are deleted lazily: removal marks, and the mark is cleared when the entry comes to the top."""

from __future__ import annotations

from collections.abc import Container, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=tuple[Any, ...])


class LazyHeap(Generic[K]):
    """A set of distinct sort keys, smallest first. The last part of a key is the id of what it stands for.

    `add` and `discard` cost O(log n) amortised, `first` O(1); dead entries never outnumber the live by more than 32.
    """

    __slots__ = ("_dead", "_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[K] = []
        self._live: set[K] = set()
        self._dead: set[K] = set()

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, key: K) -> bool:
        return key in self._live

    def add(self, key: K) -> None:
        """Put `key` in; nothing happens when it is in."""
        if key in self._live:
            return
        self._live.add(key)
        if key in self._dead:
            self._dead.remove(key)
        else:
            heappush(self._heap, key)

    def discard(self, key: K) -> None:
        """Take `key` out; nothing happens when it is not in."""
        if key not in self._live:
            return
        self._live.remove(key)
        if self._heap[0] == key:
            heappop(self._heap)
            return
        self._dead.add(key)
        if len(self._dead) > len(self._live) + 32:
            # A new list, not this one emptied: an `in_order` walk under way keeps its own.
            self._heap = list(self._live)
            heapify(self._heap)
            self._dead = set()

    def first(self) -> K | None:
        """The smallest key, or None."""
        heap, dead = self._heap, self._dead
        while dead and heap[0] in dead:
            dead.remove(heappop(heap))
        return heap[0] if heap else None

    def first_except(self, ids: Container[Any]) -> K | None:
        """The smallest key whose id is not among `ids`, or None. Costs as much as keys are skipped."""
        head = self.first()
        if head is None or head[-1] not in ids:
            return head
        return next((key for key in self.in_order() if key[-1] not in ids), None)

    def in_order(self) -> Iterator[K]:
        """Keys in ascending order, found as they are asked for: the n-th costs O(log n). No `add` meanwhile."""
        heap, live = self._heap, self._live
        if not heap:
            return
        # Walk the heap's tree best first: a node's children are the only new contenders once it is taken.
        border = [(heap[0], 0)]
        size = len(heap)
        while border:
            key, at = heappop(border)
            for child in (2 * at + 1, 2 * at + 2):
                if child < size:
                    heappush(border, (heap[child], child))
            if key in live:
                yield key
