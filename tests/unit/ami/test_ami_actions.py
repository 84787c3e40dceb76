"""Offers as AMI actions: one Redirect; for several agents a variable before it that names its offer."""

from __future__ import annotations

import pytest

from cti.asterisk.ami.adapter import action_of, preparation_of
from cti.asterisk.ami.errors import AmiActionInvalid
from cti.ids import AgentId, CallId, ChannelName, OfferId
from cti.model.commands import Deliver, HangUp
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
