"""Recordings of calls: what was kept of them, when they paused, and what was wrong with one."""

from __future__ import annotations

from cti.model.fact import Fact

FACTS: tuple[type[Fact], ...] = ()
