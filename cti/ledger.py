"""Asterisk's event ledger beside the floor: what happened while no bridge watched, as facts.

The position read so far is kept in a small file; it is only a saving of time, since facts already known are never inferred
again, so a lost position file costs one longer reading.
"""

from __future__ import annotations


