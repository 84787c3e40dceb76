"""What agents have on their desk for a queue: how a contact may end, what to say, where to look things up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """How a contact ended. One with others under it is a heading and cannot be chosen itself."""

    name: str
    titles: Mapping[str, str] = field(default_factory=dict)
    """For people, by language; the name stands for what is missing."""
    of: tuple[Disposition, ...] = ()

    def leaves(self) -> Iterator[str]:
        """Names that can be chosen."""
        if not self.of:
            yield self.name
        for one in self.of:
            yield from one.leaves()


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """A page agents look things up in. It opens in a tab of its own."""

    titles: Mapping[str, str]
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDesk:
    """What belongs to a queue on the desk."""

    dispositions: tuple[Disposition, ...] = ()
    """Empty: the queue's plain names are all there is."""
    required: bool = False
    """Whether the work after a call can be finished only with a disposition. Its time-out ends it all the same."""
    script: Mapping[str, str] = field(default_factory=dict)
    """What to say, by language: plain text, an empty line between paragraphs."""
    knowledge: tuple[Knowledge, ...] = ()
