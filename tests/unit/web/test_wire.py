from datetime import UTC, datetime
from types import MappingProxyType

import orjson
import pytest
from pydantic import TypeAdapter

from cti.ids import AgentId
from cti.model.facts import Device
from cti.services.floor import Change, FloorView
from cti.web.wire import encode
from tests.support.fake_floor import FakeFloor, StandingClock, demo_centre


def test_times_are_utc_with_z_and_enums_are_values():
    at = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert encode({"at": at, Device.SIP: Device.BROWSER}) == b'{"at":"2026-03-02T09:30:00Z","sip":"browser"}'
    assert encode(datetime(2026, 3, 2, microsecond=5, tzinfo=UTC)) == b'"2026-03-02T00:00:00.000005Z"'


def test_read_only_mappings_are_written_like_others():
    assert encode(MappingProxyType({"a": (1, None)})) == b'{"a":[1,null]}'


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError):
        encode(object())


def test_a_view_is_read_back_as_it_was_written():
    floor = FakeFloor(demo_centre(), clock=StandingClock())
    call = floor.make_call("a1-1.1", agent_id=AgentId("1001"), customer_name='<b>"\u2028\0', skills=(("zh", 3),))
    floor.apply(Change(calls={call.call_id: call}, pops={AgentId("1001"): floor.make_pop(AgentId("1001"), call, 1)}))
    raw = encode(floor.view())
    assert TypeAdapter(FloorView).validate_json(raw) == floor.view()
    assert orjson.loads(raw)["calls"]["a1-1.1"]["skills"] == [["zh", 3]]
