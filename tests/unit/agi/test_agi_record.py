"""Recording over AGI: what is sent, and every way Asterisk says it ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cti.asterisk.agi.session import AgiLeg, AgiSession, TakenDown
from cti.asterisk.agi.wire import AgiCommandError
from cti.services.ports import LegGone, TookDown
from tests.support.agi_client import FakeCaller
from tests.unit.agi.test_agi_server import outcome_of

LIMITS = {"most": timedelta(seconds=90), "silence": timedelta(seconds=4)}


async def down(session: AgiSession) -> TookDown | LegGone:
    return await AgiLeg(session).record("/rec/a1-1.1-tell-1", terminators="#", **LIMITS)


def caller(reply: str) -> FakeCaller:
    there = FakeCaller(answers={"RECORD FILE": f"200 result={reply}"})
    there.variables["CTI_BEEP"] = "/sounds/beep"
    return there


@pytest.mark.parametrize(
    ("reply", "took"),
    [
        ("35 (dtmf) endpos=40000", TookDown(seconds=5.0)),
        ("0 (timeout) endpos=720000", TookDown(seconds=90.0)),
        ("7312 (timeout) endpos=8000", TookDown(seconds=1.0)),  # what was left of the time, after silence
        ("-1 (hangup) endpos=24000", TookDown(seconds=3.0, gone=True)),
        ("-1 (writefile)", TookDown(seconds=0.0, failed=True)),
        ("-1 (waitfor) endpos=16000", TookDown(seconds=2.0, failed=True)),
        ("-1 (randomerror) endpos=0", TookDown(seconds=0.0, failed=True)),
    ],
)
async def test_every_end_of_a_recording(reply: str, took: TookDown) -> None:
    there = caller(reply)
    assert await outcome_of(down, there) == took
    assert there.played == ["/sounds/beep"]
    assert there.commands[-1] == ["RECORD", "FILE", "/rec/a1-1.1-tell-1", "wav", "#", "90000", "s=4"]


async def test_after_a_hang_up_nothing_more_is_sent() -> None:
    async def act(session: AgiSession) -> object:
        return await down(session), await session.wait_for_digit(timedelta(seconds=1)), session.gone

    there = caller("-1 (hangup) endpos=24000")
    took, after, gone = await outcome_of(act, there)  # type: ignore[misc]
    assert (took.gone, isinstance(after, LegGone), gone) == (True, True, True)
    assert there.commands[-1][0] == "RECORD"


async def test_a_leg_that_goes_without_a_word_is_gone() -> None:
    assert isinstance(await outcome_of(down, FakeCaller(hang_up_at=1)), LegGone)


async def test_without_a_tone_it_is_recorded_all_the_same() -> None:
    there = FakeCaller(answers={"RECORD FILE": "200 result=0 (timeout) endpos=16000"})
    assert await outcome_of(down, there) == TookDown(seconds=2.0)
    assert there.played == []


async def test_only_keys_end_a_recording() -> None:
    async def act(session: AgiSession) -> object:
        return await session.record_file("/rec/x", escape_digits="#\n", **LIMITS)

    assert isinstance(await outcome_of(act, FakeCaller()), AgiCommandError)


async def test_the_outcome_says_how() -> None:
    async def act(session: AgiSession) -> object:
        return await session.record_file("/rec/x", **LIMITS)

    assert await outcome_of(act, caller("0 (timeout) endpos=8000")) == TakenDown(how="timeout", endpos=8000)
