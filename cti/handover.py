"""The floor handed from the bridge that owns it to the one that stands by, for example after an upgrade of the program."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from cti.errors import CtiError
from cti.places import Places
from cti.settings import Settings
from cti.standby import is_bridge, owner_of, stands_by
from cti.status import ready

WITHIN = 30.0
"""Seconds the whole may take."""


async def hand_over(settings: Settings) -> float:
    """Ask the owner to end, and wait until the other one answers calls. Gives the seconds between.

    Raises `CtiError` when nobody stands by (nothing is done then), or when the other one does not answer.
    """
    places = Places(settings)
    owner = (owner_of(places) or {}).get("pid")
    if not isinstance(owner, int) or not is_bridge(owner):
        raise CtiError("no bridge owns the floor of this centre", remedy="start it: cti up --standby, or cti serve")
    if stands_by(places) is None:
        raise CtiError(
            "no bridge stands by: nothing was done",
            remedy="start one: cti up --standby, or a second cti serve with standby.enabled = true",
        )
    began = time.monotonic()
    os.kill(owner, signal.SIGTERM)
    while time.monotonic() - began < WITHIN:
        told = owner_of(places) or {}
        if told.get("pid") != owner and (await ready(settings))[0]:
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    raise CtiError(
        f"the other bridge does not answer after {WITHIN:.0f} s",
        remedy=f"look into {places.log}; callers are looked after",
    )
