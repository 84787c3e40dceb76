"""Quality: what became of scores, coaching and targets, where the floor must know of it."""

from __future__ import annotations

from cti.model.fact import Fact

FACTS: tuple[type[Fact], ...] = ()
