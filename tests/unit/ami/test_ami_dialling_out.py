"""What dialling out looks like on AMI, and what never gets that far."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cti.asterisk.ami.adapter import action_of
from cti.asterisk.ami.errors import AmiActionInvalid
from cti.ids import AgentId, CallId, ChannelName, OfferId, QueueName
from cti.model.commands import ConfirmCallback, Deliver, DialCustomer, RingForCallback, SendOut
from cti.model.facts import Device

CHANNEL = ChannelName("PJSIP/trunk-00000001")
DIAL = DialCustomer(
    call_id=CallId("a1-1.1-cb"),
    channel_id="a1-1.1-cb-2",
    number="+15550100002",
    ring_timeout=timedelta(seconds=30),
    caller_id="+15550105000",
    queue=QueueName("support"),
    did="5000",
    language="en",
    agents_ring=timedelta(seconds=15),
    record=True,
)


def test_a_customer_is_called_with_a_channel_id_of_ours() -> None:
    assert action_of(DIAL, "carrier") == {
        "Action": "Originate",
        "Channel": "PJSIP/+15550100002@carrier",
        "ChannelId": "a1-1.1-cb-2",
        "Context": "cti-callback",
        "Exten": "s",
        "Priority": "1",
        "Timeout": "30000",
        "CallerID": "<+15550105000>",
        "Variable": "__CTI_CALL=a1-1.1-cb,CTI_NUMBER=+15550100002,CTI_DID=5000,CTI_QUEUE=support,"
        "CTI_SURVIVAL_QUEUE=support,CTI_LANGUAGE=en,CTI_RING=15,CTI_RECORD=1",
        "Async": "true",
    }


def test_callers_are_sent_out_told_and_delivered_to_numbers() -> None:
    out = action_of(SendOut(call_id=DIAL.call_id, channel=CHANNEL, number="+15550100003"))
    assert (out["Context"], out["Exten"]) == ("cti-out", "15550100003")
    told = action_of(ConfirmCallback(call_id=DIAL.call_id, channel=CHANNEL))
    assert (told["Context"], told["Exten"]) == ("cti-asked", "s")
    offer = Deliver(
        call_id=DIAL.call_id, channel=CHANNEL, offer_id=OfferId(42), agent_id=AgentId("1004"), device=Device.EXTERNAL
    )
    assert action_of(offer)["Exten"] == "000000004231004"


@pytest.mark.parametrize(
    "number",
    [
        "",
        "15550100003",
        "+05550100003",
        "+1555",
        "+1555010000a",
        "+15550100003@evil",
        "+1555010000３",
        "+1555010000\r\n1",
    ],
)
def test_what_is_no_number_is_not_dialled(number: str) -> None:
    with pytest.raises(AmiActionInvalid):
        action_of(SendOut(call_id=DIAL.call_id, channel=CHANNEL, number=number))
    with pytest.raises(AmiActionInvalid):
        action_of(replace(DIAL, number=number))


@pytest.mark.parametrize("field", ["call_id", "channel_id", "caller_id", "queue", "did", "language"])
@pytest.mark.parametrize("value", ["a,CTI_X=1", "a\r\nAction: Command", "${SHELL(id)}", "a b"])
def test_a_value_that_says_more_is_refused(field: str, value: str) -> None:
    with pytest.raises(AmiActionInvalid):
        action_of(replace(DIAL, **{field: value}))


RING = RingForCallback(
    call_id=DIAL.call_id,
    channel_id="a1-1.1-cb-a1732200099-1004",
    offer_id=OfferId(1732200099),
    agent_id=AgentId("1004"),
    device=Device.BROWSER,
    number="+15550100002",
    agents_ring=timedelta(seconds=15),
    ring_timeout=timedelta(seconds=30),
    shown="+15550100002",
    queue=QueueName("support"),
    did="5000",
)


def test_an_agent_is_called_first_with_a_channel_id_of_ours() -> None:
    action = action_of(RING, "carrier")
    assert action == {
        "Action": "Originate",
        "Channel": "PJSIP/1004-web",
        "ChannelId": "a1-1.1-cb-a1732200099-1004",
        "Context": "cti-callback-agent",
        "Exten": "15550100002",
        "Priority": "1",
        "Timeout": "15000",
        "CallerID": "<+15550100002>",
        "Variable": [
            "__CTI_CALL=a1-1.1-cb",
            "__CTI_OFFER=1732200099",
            "CTI_NUMBER=+15550100002",
            "CTI_DID=5000",
            "__CTI_QUEUE=support",
            "CTI_SECONDS=30",
            "CTI_RECORD=",
            "CTI_OUTSIDE=",
            "PJSIP_HEADER(add,X-CTI-Call)=a1-1.1-cb",
            "PJSIP_HEADER(add,X-CTI-Offer)=1732200099",
        ],
        "Async": "true",
    }
    outside = action_of(
        replace(RING, device=Device.EXTERNAL, agent_number="+15550107777", shown="+15550105000"), "carrier"
    )
    assert (outside["Channel"], outside["CallerID"]) == ("PJSIP/+15550107777@carrier", "<+15550105000>")
    assert "CTI_OUTSIDE=1" in outside["Variable"]
    assert not any("PJSIP_HEADER" in variable for variable in outside["Variable"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": "15550100002"},
        {"number": "+1555010000x"},
        {"device": Device.EXTERNAL, "agent_number": "+1555010&PJSIP/x"},
        {"agent_id": "1004-web"},
        {"offer_id": 10**10},
        {"call_id": "a\r\nAction: Command"},
        {"channel_id": "a,b"},
        {"did": "${SHELL(id)}"},
        {"queue": "a=b c"},
        {"shown": "1>\r\nX: <"},
    ],
)
def test_an_agent_is_not_called_for_what_says_more(wrong: dict[str, object]) -> None:
    with pytest.raises(AmiActionInvalid):
        action_of(replace(RING, **wrong))  # type: ignore[arg-type]
