"""The attacker: what it finds to attack, and how lateness is read from a histogram."""

from __future__ import annotations

import math

from cti.settings import load_settings
from cti.soak.doors import Speaks, doors_of, ways_of
from cti.soak.harm import late_since


def test_every_port_is_attacked_and_doors_with_tls_in_more_ways(tmp_path):
    plain = doors_of(load_settings(environ={}, overrides={"data": str(tmp_path)}), token="")
    on = {"data": str(tmp_path), "tls.mode": "on"}
    encrypted = {door.name: door for door in doors_of(load_settings(environ={}, overrides=on), token="x")}
    assert [door.name for door in plain] == ["agi", "pages", "feed", "manager", "phones", "sip"]
    assert set(encrypted) == {*(door.name for door in plain), "plain pages"}
    for door in plain:
        names = [way.name for way in ways_of(door)]
        assert len(names) == len(set(names)) >= 8
        if door.speaks in (Speaks.PAGES, Speaks.PHONES):
            assert len(ways_of(encrypted[door.name])) == len(names) + 5
    assert {"frames", "half frame", "deaf"} <= {way.name for way in ways_of(encrypted["feed"])}


def test_lateness_between_two_readings():
    before = {0.01: 5, 0.1: 9, math.inf: 10}
    after = {0.01: 105, 0.1: 118, math.inf: 120}
    assert late_since(before, after) == {0.0: 110, 0.01: 10, 0.1: 1}
    assert late_since(after, before) == {0.0: 10, 0.01: 5, 0.1: 1}
    assert late_since({}, {}) == {0.0: 0}
