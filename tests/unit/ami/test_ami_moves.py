"""Moves of a call as AMI actions, and what the telephones say about third parties."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cti.asterisk.ami.adapter import action_of, preparation_of
from cti.asterisk.ami.errors import AmiActionInvalid
from cti.asterisk.ami.translate import accounts_of, translate
from cti.asterisk.ami.wire import AmiReader
from cti.ids import AgentId, CallId, ChannelName
from cti.model import signals as s
from cti.model.commands import DialParty, EnterRoom, HoldCaller, HoldParty, SendOut
from cti.model.facts import Device
from cti.model.talk import call_of_party_leg, party_leg

CALL, CALLER, ADA = CallId("a1-1732200000.7"), ChannelName("PJSIP/trunk-00000007"), ChannelName("PJSIP/1001-00000008")
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ACCOUNTS = accounts_of([AgentId("1001"), AgentId("1002")])


def test_both_legs_of_a_talk_are_moved_by_one_action() -> None:
    action = action_of(HoldCaller(call_id=CALL, channel=CALLER, agent_channel=ADA))
    assert action == {
        "Action": "Redirect", "Channel": CALLER, "Context": "cti-held", "Exten": "s", "Priority": "1",
        "ExtraChannel": ADA, "ExtraContext": "cti-room", "ExtraExten": "party", "ExtraPriority": "1",
    }  # fmt: skip
    assert "ExtraChannel" not in action_of(HoldCaller(call_id=CALL, channel=CALLER))
    enter = action_of(EnterRoom(call_id=CALL, channel=CALLER))
    assert (enter["Context"], enter["Exten"]) == ("cti-room", "s")
    party = action_of(HoldParty(call_id=CALL, channel=ADA))
    assert (party["Context"], party["Exten"]) == ("cti-held", "party")


def test_a_third_party_is_dialled_with_an_id_of_ours() -> None:
    leg = party_leg(CALL, 2)
    assert call_of_party_leg(leg) == CALL
    assert call_of_party_leg("a1-1732200000.7") is None
    ring = timedelta(seconds=25)
    action = action_of(
        DialParty(
            call_id=CALL,
            channel_id=leg,
            agent_id=AgentId("1002"),
            device=Device.BROWSER,
            ring_timeout=ring,
            shown="1001",
        )
    )
    assert (action["Channel"], action["ChannelId"], action["Timeout"]) == ("PJSIP/1002-web", leg, "25000")
    assert f"__CTI_CALL={CALL}" in action["Variable"]
    outside = action_of(DialParty(call_id=CALL, channel_id=leg, number="+15550170001", ring_timeout=ring), "line")
    assert outside["Channel"] == "PJSIP/+15550170001@line"
    for number in ("+1555017000x", "15550170001", "+15550170001&PJSIP/1001"):
        with pytest.raises(AmiActionInvalid):
            action_of(DialParty(call_id=CALL, channel_id=leg, number=number, ring_timeout=ring))


def test_a_caller_who_is_sent_out_and_may_come_back_is_marked_first() -> None:
    out = SendOut(call_id=CALL, channel=CALLER, number="+15550170001", back=True)
    assert preparation_of(out) == {"Action": "Setvar", "Channel": CALLER, "Variable": "CTI_BACK", "Value": "wait"}
    assert preparation_of(SendOut(call_id=CALL, channel=CALLER, number="+15550170001")) is None


def heard(text: str) -> s.Signal | None:
    greeting = b"Asterisk Call Manager/11.0.0\r\n"
    (message,) = AmiReader().feed(greeting + text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    return translate(message, ACCOUNTS, NOW)


@pytest.mark.parametrize(
    ("event", "status", "told"),
    [
        ("DialBegin", "", "dialled"),
        ("DialState", "RINGING", "ringing"),
        ("DialEnd", "BUSY", "failed"),
        ("DialEnd", "ANSWER", None),
    ],
)
def test_dialling_a_third_party(event: str, status: str, told: str | None) -> None:
    signal = heard(
        f"Event: {event}\nDestChannel: PJSIP/1002-00000009\nDestUniqueid: {party_leg(CALL, 1)}\nDialStatus: {status}"
    )
    if told is None:
        assert signal is None
    else:
        assert isinstance(signal, s.PartyLeg)
        assert (signal.call_id, signal.event, signal.channel) == (CALL, told, "PJSIP/1002-00000009")


def test_a_third_party_who_could_not_be_dialled_at_all() -> None:
    signal = heard(f"Event: OriginateResponse\nResponse: Failure\nReason: 0\nUniqueid: {party_leg(CALL, 1)}")
    assert isinstance(signal, s.PartyLeg)
    assert (signal.event, signal.channel) == ("failed", "")
