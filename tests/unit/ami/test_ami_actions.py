"""Commands as AMI actions. An offer is one Redirect; for several agents a variable before it that names its offer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cti.asterisk.ami.adapter import action_of, preparation_of
from cti.asterisk.ami.errors import AmiActionInvalid
from cti.ids import AgentId, CallId, ChannelName, OfferId, QueueName
from cti.model.commands import Deliver, HangUp, ReturnToWait, SendToFlow, SendToVoicemail, SetQueue
from cti.model.facts import Device

CHANNEL = ChannelName("PJSIP/trunk-00000001")


def deliver(*others: tuple[str, Device], agent: str = "1001", device: Device = Device.SIP) -> Deliver:
    return Deliver(
        call_id=CallId("t1-1.1"),
        channel=CHANNEL,
        offer_id=OfferId(42),
        agent_id=AgentId(agent),
        device=device,
        others=tuple((AgentId(one), its) for one, its in others),
    )


def test_an_offer_to_one_needs_nothing_before() -> None:
    assert preparation_of(deliver()) is None
    assert preparation_of(HangUp(channel=CHANNEL)) is None
    assert action_of(deliver(device=Device.BROWSER))["Exten"] == "000000004221001"


def test_an_offer_to_several_tells_their_devices_first() -> None:
    command = deliver(("1002", Device.BROWSER), ("99", Device.SIP))
    assert preparation_of(command) == {
        "Action": "Setvar",
        "Channel": CHANNEL,
        "Variable": "CTI_DIAL",
        "Value": "0000000042:1001&1002-web&99",
    }
    assert action_of(command)["Exten"] == "00000000420"


def test_ten_of_the_longest_extensions_fit_into_a_line_of_ami() -> None:
    others = [(f"10000{n}", Device.BROWSER) for n in range(1, 10)]
    prepared = preparation_of(deliver(*others, agent="100000", device=Device.BROWSER))
    assert prepared is not None
    assert len(prepared["Value"]) < 256


@pytest.mark.parametrize("other", [("1002", Device.EXTERNAL), ("1002&PJSIP/x", Device.SIP), ("", Device.SIP)])
def test_who_cannot_be_rung_together_is_refused(other: tuple[str, Device]) -> None:
    with pytest.raises(AmiActionInvalid):
        preparation_of(deliver(other))


@pytest.mark.parametrize(
    ("command", "context"),
    [(ReturnToWait, "cti-wait"), (SendToVoicemail, "cti-voicemail"), (SendToFlow, "cti-flow")],
)
def test_callers_are_redirected_to_the_beginning_of_a_context(command: Any, context: str) -> None:
    action = action_of(command(call_id=CallId("t1-1.1"), channel=ChannelName("PJSIP/trunk-1")))
    assert (action["Action"], action["Context"], action["Exten"], action["Priority"]) == ("Redirect", context, "s", "1")


def test_a_moved_callers_channel_is_told_its_queue() -> None:
    command = SetQueue(
        call_id=CallId("t1-1.1"),
        channel=ChannelName("PJSIP/trunk-1"),
        queue=QueueName("sales"),
        ring_timeout=timedelta(seconds=12),
        record=True,
    )
    action = action_of(command)
    assert (action["Variable"], action["Value"]) == ("ARRAY(CTI_QUEUE,CTI_RING,CTI_RECORD)", "sales,12,1")
    assert action_of(replace(command, record=False))["Value"] == "sales,12,"
    with pytest.raises(AmiActionInvalid):
        action_of(replace(command, queue=QueueName("a,b")))
