"""Functions that flows call: marked ones only, in threads, with a deadline, and nothing they raise gets out."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from types import ModuleType

import pytest
import structlog

from cti.outside.functions import Functions, for_flows
from cti.services.ports import Answered

HELD = threading.Event()
FAILED = Answered(status="failed")


@for_flows
def discount(sent: Mapping[str, object]) -> Mapping[str, object] | None:
    assert threading.current_thread() is not threading.main_thread()
    if sent["tier"] == "none":
        return None
    with pytest.raises(TypeError):
        sent["tier"] = "gold"  # type: ignore[index]
    return {"percent": 15, "n": sent["n"]}


@for_flows
def leaves(_sent: Mapping[str, object]) -> Mapping[str, object]:
    sys.exit(3)


@for_flows
def hangs(_sent: Mapping[str, object]) -> Mapping[str, object]:
    HELD.wait(20)
    return {}


@for_flows
def a_list(_sent: Mapping[str, object]) -> Mapping[str, object]:
    return [1]  # type: ignore[return-value]


def unmarked(_sent: Mapping[str, object]) -> Mapping[str, object]:
    raise AssertionError("never called")


@pytest.fixture
async def functions(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Functions]:
    module = ModuleType("the_shop")
    vars(module).update(discount=discount, leaves=leaves, hangs=hangs, a_list=a_list, unmarked=unmarked)
    monkeypatch.setitem(sys.modules, "the_shop", module)
    paths = {name: f"the_shop:{name}" for name in ("discount", "leaves", "hangs", "a_list", "unmarked", "gone")}
    paths |= {"system": "os:system", "nowhere": "no_such_module_here:x"}
    running = Functions(paths.get, workers=2)
    yield running
    HELD.set()
    running.close()


async def test_what_is_sent_and_given(functions: Functions) -> None:
    answer = await functions.call("discount", {"tier": "gold", "n": Decimal(2)}, deadline=10)
    assert answer == Answered(status="ok", body={"percent": 15, "n": Decimal(2)})
    assert (await functions.call("discount", {"tier": "none"}, deadline=10)).status == "not_found"


@pytest.mark.parametrize("name", ["leaves", "a_list", "unmarked", "system", "gone", "nowhere", "unknown", "discount"])
async def test_every_other_way_is_a_failure_and_tells_no_value(functions: Functions, name: str) -> None:
    with structlog.testing.capture_logs() as logs:
        assert await functions.call(name, {"secret": "4711"}, deadline=10) == FAILED
    assert len(logs) == 1
    assert "4711" not in str(logs)


async def test_one_that_hangs_harms_nobody_else(functions: Functions) -> None:
    HELD.clear()
    assert await functions.call("hangs", {}, deadline=0.05) == FAILED
    assert (await functions.call("discount", {"tier": "gold", "n": True}, deadline=10)).status == "ok"
