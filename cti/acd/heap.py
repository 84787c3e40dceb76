"""A heap whose entries are deleted lazily: removal marks, and the mark is cleared when the entry comes to the top."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=tuple[Any, ...])


class LazyHeap(Generic[K]):
    """A set of distinct sort keys, smallest first. The last part of a key is the id of what it stands for.

    `add` and `discard` cost O(log n) amortised, `first` O(1); dead entries never outnumber the live by more than 32.
    """

    __slots__ = ("_dead", "_live", "keys")

    def __init__(self) -> None:
        self.keys: list[K] = []
        """The heap itself, dead keys among them; `keys[0]` is never dead. To be read only."""
        self._live: set[K] = set()
        self._dead: set[K] = set()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[K]:
        return iter(self._live)

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
            heappush(self.keys, key)

    def discard(self, key: K) -> None:
        """Take `key` out; nothing happens when it is not in."""
        if key not in self._live:
            return
        self._live.remove(key)
        heap, dead = self.keys, self._dead
        if heap[0] == key:
            heappop(heap)
            while dead and heap[0] in dead:
                dead.remove(heappop(heap))
            return
        dead.add(key)
        if len(dead) > len(self._live) + 32:
            heap[:] = self._live
            heapify(heap)
            dead.clear()

    def first(self) -> K | None:
        """The smallest key, or None."""
        return self.keys[0] if self.keys else None

    def first_except(self, ids: Container[Any]) -> K | None:
        """The smallest key whose id is not among `ids`, or None. Costs as much as keys are skipped."""
        if not self.keys:
            return None
        head = self.keys[0]
        if head[-1] not in ids:
            return head
        return next((key for key in in_order((self,)) if key[-1] not in ids), None)


def in_order(heaps: Iterable[LazyHeap[K]]) -> Iterator[K]:
    """Keys of all the heaps in ascending order, found as they are asked for. The heaps must not change meanwhile."""
    # Walk the heaps' trees best first: a node's children are the only new contenders once it is taken.
    all_heaps = [heap for heap in heaps if heap.keys]
    border = [(heap.keys[0], 0, n) for n, heap in enumerate(all_heaps)]
    heapify(border)
    while border:
        key, at, n = heappop(border)
        keys = all_heaps[n].keys
        for child in (2 * at + 1, 2 * at + 2):
            if child < len(keys):
                heappush(border, (keys[child], child, n))
        if key in all_heaps[n]:
            yield key
