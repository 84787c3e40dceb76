"""Whoever knocks at the SIP port in whatever order: who is banned has earned it, who has earned it is banned, who is safe never is."""

from __future__ import annotations

import ipaddress
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cti.asterisk.bans import FEW, BanList
from cti.asterisk.refusals import Heard, Knock
from tests.support.examples import examples

T0 = datetime(2026, 11, 23, 12, tzinfo=UTC)
NEVER = ipaddress.ip_network("198.51.100.0/24")
PLACES = [*(f"203.0.113.{n}" for n in range(12)), *(f"198.51.100.{n}" for n in range(3)), "2001:db8::1", "2001:db8::2"]
knocks = st.lists(
    st.tuples(st.sampled_from(PLACES), st.sampled_from([*Knock]), st.booleans(), st.integers(1, 40)), max_size=40
)


def of(address: str) -> str:
    """A customer's addresses."""
    return str(ipaddress.ip_network((address, 64 if ":" in address else 32), strict=False))


@examples(300, nightly=4000)
@given(after=st.integers(1, 200), told=knocks)
def test_who_is_banned_has_earned_it_and_nobody_else(after: int, told: list[tuple[str, Knock, bool, int]]) -> None:
    bans = BanList(after=after, lasting=timedelta(minutes=10), never=[NEVER])
    refused: Counter[str] = Counter()
    safe = {of(place) for place in PLACES if place.startswith("198.")}
    for address, knock, direct, times in told:
        bans.hear([Heard(knock=knock, address=address, direct=direct, account="1001")] * times, T0)
        if knock is Knock.ACCEPTED:
            safe.add(of(address))
        if direct:
            refused[of(address)] += -times if knock is Knock.ACCEPTED else times
    loud = {place: count for place, count in refused.items() if place not in safe and count >= after}
    several = {place: count for place, count in refused.items() if place not in safe and FEW < count < after}
    wanted = set(loud) | (set(several) if sum(several.values()) >= after else set())
    assert {ban.network for ban in bans.ban(T0)} == wanted == set(bans.bans)
    assert bans.ban(T0) == []
