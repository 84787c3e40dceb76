"""What the drain reads off a record without making the fact is what the fact says."""

from __future__ import annotations

from hypothesis import given

from cti.journal.codec import encode
from cti.model.facts import CallFact, Fact
from cti.store.drain import _plain
from tests.property.test_journal_codec import FACTS
from tests.support.examples import examples


@given(fact=FACTS)
@examples(100, nightly=5_000)
def test_a_record_tells_its_kind_its_call_and_its_time(fact: Fact) -> None:
    payload = encode(fact)
    assert _plain(payload) == (type(fact).__name__, fact.call_id if isinstance(fact, CallFact) else None, fact.at)


def test_what_is_not_as_this_version_writes_it_is_looked_at_closely() -> None:
    for payload in (
        b"{",
        b"[]",
        b'{"at":"2026-01-01T00:00:00Z"}',
        b'{"fact":"Unheard","at":"2026-01-01T00:00:00Z"}',
        b'{"fact":"CallEnded","at":"2026-01-01T00:00:00Z"}',
        b'{"fact":"CallEnded","at":"2026-01-01T00:00:00Z","call_id":7}',
        b'{"fact":"CallEnded","at":"2026-01-01T00:00:00","call_id":"a1-1.1"}',
        b'{"fact":"CallEnded","at":5,"call_id":"a1-1.1"}',
        b'{"fact":["CallEnded"],"at":"2026-01-01T00:00:00Z","call_id":"a1-1.1"}',
    ):
        assert _plain(payload) is None
