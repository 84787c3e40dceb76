"""What a real Asterisk 22.10.1 said during whole calls, and what it means; odd events; the snapshot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cti.asterisk.ami.snapshot import snapshot_of, was_restarted
from cti.asterisk.ami.translate import (
    EVENTS_USED,
    Odd,
    OrderCheck,
    Translator,
    account_of_channel,
    accounts_of,
    offer_id_of,
    time_of,
    translate,
)
from cti.asterisk.ami.wire import AmiMessage, AmiReader
from cti.ids import AgentId
from cti.model import signals as s
from cti.model.facts import Device
from tests.support.ami_server import block

RECORDINGS = Path(__file__).parents[2] / "recordings" / "ami"
ACCOUNTS = accounts_of([AgentId("1001"), AgentId("1002")])
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def messages(name: str, piece: int = 7) -> list[AmiMessage]:
    data = (RECORDINGS / name).read_bytes()
    reader = AmiReader()
    return [message for at in range(0, len(data), piece) for message in reader.feed(data[at : at + piece])]


def signals(name: str) -> tuple[list[s.Signal], Translator]:
    translator = Translator(ACCOUNTS)
    spoken = [m for m in messages(name) if m.event and not m.action_id]
    return [signal for m in spoken if (signal := translator.signal(m, NOW)) is not None], translator


def told(signal: s.Signal) -> tuple[object, ...]:
    """A signal as a short row: its name and its fields but time, in order."""
    names = [
        name
        for cls in type(signal).__mro__[-2::-1]
        for name in getattr(cls, "__slots__", ())
        if name not in ("at", "unique_id")
    ]
    return (type(signal).__name__, *(getattr(signal, name) for name in names))


def event(**headers: str) -> AmiMessage:
    (message,) = (r := AmiReader()).feed(b"Asterisk Call Manager/11.0.0\r\n") or r.feed(block(**headers))
    return message


def test_an_answered_call() -> None:
    found, translator = signals("asterisk-22.10.1-answered.ami")
    call, caller, agent = "t1-1795288311.0", "PJSIP/trunk-00000000", "PJSIP/1001-00000001"
    bridge = "b45ce270-64e5-4460-aea1-8892a7983eea"
    found = [signal for signal in found if type(signal).__name__ != "PhoneSigned"]
    assert [told(signal) for signal in found] == [
        ("DeviceReachable", "1001", Device.SIP, True, False),
        ("CallerEntered", call, caller, "+15550100", "5001"),
        ("WaitEntered", call, caller),
        ("RecordingBegan", call, f"{call}.wav"),
        ("AgentLegDialled", call, 42, caller, agent, "1001"),
        ("DeviceReachable", "1001", Device.SIP, True, True),
        ("AgentLegRinging", call, 42, agent),
        ("AgentLegEnded", call, 42, agent, "ANSWER"),
        ("BridgeJoined", bridge, agent, call, "1001"),
        ("DeviceReachable", "1001", Device.SIP, True, True),
        ("BridgeJoined", bridge, caller, call, None),
        ("HoldChanged", agent, call, "1001", True),
        ("HoldChanged", agent, call, "1001", False),
        ("HangupAsked", agent, call, "1001"),
        ("BridgeParted", bridge, agent, call, "1001"),
        ("BridgeParted", bridge, caller, call, None),
        # The dialplan's own Hangup() makes a SoftHangupRequest of the caller's channel: the caller asked nothing.
        ("ChannelGone", agent, call, "1001", False, 16),
        ("DeviceReachable", "1001", Device.SIP, True, False),
        ("ChannelGone", caller, call, None, True, 16),
    ]
    assert translator.odd == 0
    assert found[0].at == datetime(2026, 11, 21, 19, 11, 50, 974455, tzinfo=UTC)
    assert [signal.at for signal in found] == sorted(signal.at for signal in found)


def test_offers_refused_and_a_caller_who_leaves() -> None:
    found, translator = signals("asterisk-22.10.1-refused.ami")
    call, caller = "t1-1795288313.2", "PJSIP/trunk-00000002"
    first, second = "PJSIP/1001-web-00000003", "PJSIP/1001-web-00000004"
    web = ("DeviceReachable", "1001", Device.BROWSER)
    rows = [told(signal) for signal in found if type(signal).__name__ != "PhoneSigned"]
    assert [row for row in rows if row[0] != "DeviceReachable"] == [
        ("CallerEntered", call, caller, "+15550100", "5001"),
        ("WaitEntered", call, caller),
        ("RecordingBegan", call, f"{call}.wav"),
        ("AgentLegDialled", call, 422, caller, first, "1001"),
        ("AgentLegRinging", call, 422, first),
        ("HangupAsked", first, call, "1001"),
        ("AgentLegEnded", call, 422, first, "NOANSWER"),
        ("OfferReturned", call, 422, caller, "CHANUNAVAIL", 21),
        ("ChannelGone", first, call, "1001", False, 21),
        ("WaitEntered", call, caller),
        ("RecordingBegan", call, f"{call}.wav"),
        ("AgentLegDialled", call, 423, caller, second, "1001"),
        ("AgentLegRinging", call, 423, second),
        ("HangupAsked", second, call, "1001"),
        ("AgentLegEnded", call, 423, second, "BUSY"),
        ("ChannelGone", second, call, "1001", False, 17),
        ("OfferReturned", call, 423, caller, "BUSY", 17),
        ("WaitEntered", call, caller),
        ("HangupAsked", caller, call, None),
        ("ChannelGone", caller, call, None, True, 17),
    ]
    devices = [row for row in rows if row[0] == "DeviceReachable"]
    assert devices[0] == (*web, True, False)
    assert devices[-1] == (*web, False, False)  # its phone has unregistered
    assert translator.odd == 0


def test_snapshot_of_a_real_asterisk() -> None:
    recorded = messages("asterisk-22.10.1-refused.ami")
    snapshot = snapshot_of(
        [m for m in recorded if m.action_id == "s1" and m.event == "Status"],
        [m for m in recorded if m.action_id == "d1" and m.event == "DeviceStateChange"],
        accounts=ACCOUNTS,
        at=NOW,
        restarted=False,
    )
    (channel,) = snapshot.channels
    assert channel.call_id == channel.unique_id == "t1-1795288313.2"
    # Its CTI_OFFER is still that of the offer that came back.
    assert (channel.offer_id, channel.agent_id, channel.device, channel.bridge_id) == (None, None, None, None)
    assert (channel.context, channel.state, channel.queue) == ("cti-wait-run", "Up", "support")
    assert (channel.caller_number, channel.did, channel.seconds) == ("+15550100", "5001", 2.0)
    assert [(d.agent_id, d.device, d.reachable, d.in_use) for d in snapshot.devices] == [
        ("1001", Device.BROWSER, True, False),
        ("1001", Device.SIP, True, False),
        ("1002", Device.BROWSER, False, False),  # not configured in that Asterisk: cannot be called
        ("1002", Device.SIP, False, False),
    ]


def test_snapshot_channel_of_an_agent_in_talk() -> None:
    item = AmiMessage(
        b"Event: Status\r\nChannel: PJSIP/1002-web-0000000a\r\nUniqueid: t1-9.9\r\nContext: cti-agents\r\nExten: \r\n"
        b"ChannelStateDesc: Up\r\nBridgeID: b1\r\nSeconds: 61\r\nVariable: CTI_CALL=t1-9.8\r\n"
        b"Variable: CTI_OFFER=0000000007\r\nVariable: CTI_QUEUE=\r\nVariable: CTI_NUMBER=\r\nVariable: CTI_DID="
    )
    broken = AmiMessage(b"Event: Status\r\nChannel: \r\nUniqueid: 1")
    snapshot = snapshot_of([item, broken], [], accounts=ACCOUNTS, at=NOW, restarted=True)
    (leg,) = snapshot.channels
    assert (leg.call_id, leg.offer_id, leg.agent_id, leg.device) == ("t1-9.8", 7, "1002", Device.BROWSER)
    assert (leg.bridge_id, leg.queue, leg.caller_number, leg.did, leg.seconds) == ("b1", None, None, "", 61.0)
    assert snapshot.restarted


@pytest.mark.parametrize(
    ("state", "reachable", "in_use"),
    [
        ("NOT_INUSE", True, False),
        ("INUSE", True, True),
        ("RINGING", True, True),
        ("RINGINUSE", True, True),
        ("BUSY", True, True),
        ("ONHOLD", True, True),
        ("UNAVAILABLE", False, False),
        ("INVALID", False, False),
        ("UNKNOWN", False, False),
        ("", False, False),
    ],
)
def test_device_states(state: str, reachable: bool, in_use: bool) -> None:
    signal = Translator(ACCOUNTS).signal(event(Event="DeviceStateChange", Device="PJSIP/1002-web", State=state), NOW)
    assert signal == s.DeviceReachable(
        at=NOW, agent_id=AgentId("1002"), device=Device.BROWSER, reachable=reachable, in_use=in_use
    )


def test_survival_and_unknown_user_events() -> None:
    translator = Translator(ACCOUNTS)
    survival = {"Event": "UserEvent", "UserEvent": "CtiSurvival", "Channel": "PJSIP/t-1", "Call": "a1-1.1"}
    signal = translator.signal(event(**survival, Queue="support"), NOW)
    assert isinstance(signal, s.SurvivalBegan)
    assert signal.queue == "support"
    signal = translator.signal(event(**survival, Queue="no such; queue"), NOW)
    assert isinstance(signal, s.SurvivalBegan)
    assert signal.queue is None
    assert translator.signal(event(Event="UserEvent", UserEvent="Other", Channel="x"), NOW) is None
    assert (translator.translated, translator.unused, translator.odd) == (2, 1, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Event": "Hangup"},
        {"Event": "BridgeEnter", "Channel": "PJSIP/1001-1"},
        {"Event": "UserEvent", "UserEvent": "CtiInbound", "Channel": "x"},
        {"Event": "UserEvent", "UserEvent": "CtiWait", "Channel": "x", "Call": "a b"},
        {"Event": "UserEvent", "UserEvent": "CtiReturned", "Channel": "x", "Call": "a", "Offer": "12"},
        {"Event": "DialBegin"},
    ],
)
def test_events_that_lack_what_they_need_are_counted(headers: dict[str, str]) -> None:
    translator = Translator(ACCOUNTS)
    assert translator.signal(event(**headers), NOW) is None
    assert translator.odd == 1


def test_a_number_that_is_none_is_withheld() -> None:
    entered = {"Event": "UserEvent", "UserEvent": "CtiInbound", "Channel": "x", "Call": "a1-1.1", "Did": "5001"}
    for number in ("", "anonymous", "12;34", "+", "1" * 40):
        signal = Translator(ACCOUNTS).signal(event(**entered, Number=number), NOW)
        assert isinstance(signal, s.CallerEntered)
        assert signal.caller_number is None


def test_dials_of_other_devices_are_not_offers() -> None:
    dial = {"Event": "DialBegin", "Channel": "PJSIP/trunk-1", "DestChannel": "PJSIP/trunk-2"}
    assert Translator(ACCOUNTS).signal(event(**dial, ChanVariable="CTI_CALL=a1-1.1"), NOW) is None


def test_a_dial_of_the_survival_queue_has_no_offer() -> None:
    dial = {"Event": "DialBegin", "Channel": "PJSIP/trunk-1", "DestChannel": "PJSIP/1001-2", "Context": "cti-survival"}
    message = AmiMessage(
        event(**dial).block + b"\r\nChanVariable: CTI_CALL=a1-1.1\r\nChanVariable: CTI_OFFER=0000000009\r\nExten: s"
    )
    signal = Translator(ACCOUNTS).signal(message, NOW)
    assert isinstance(signal, s.AgentLegDialled)
    assert signal.offer_id is None


@pytest.mark.parametrize(
    ("context", "exten", "offer"),
    [
        ("cti-deliver", "0000000042110", 42),
        ("cti-deliver-run", "99999999992123456", 9999999999),
        ("cti-wait", "0000000042110", None),
        ("cti-deliver", "000000004211", None),
        ("cti-deliver", "0000000042310", 42),
        ("cti-deliver", "0000000042410", None),
        ("cti-deliver", "s", None),
        ("cti-deliver", "٠٠٠٠٠٠٠٠٤٢110", None),
        ("cti-deliver-run", "00000000420", 42),
        ("cti-deliver", "000000004201001", None),
        ("cti-wait", "00000000420", None),
    ],
)
def test_offer_of_an_extension(context: str, exten: str, offer: int | None) -> None:
    assert offer_id_of(context, exten) == offer


def test_accounts_of_channels() -> None:
    assert account_of_channel("PJSIP/1001-0000002a", ACCOUNTS) == ("1001", Device.SIP)
    assert account_of_channel("PJSIP/1001-web-0000002a", ACCOUNTS) == ("1001", Device.BROWSER)
    for other in ("PJSIP/trunk-00000001", "Local/1001@x-00000001;1", "PJSIP/1001", "SIP/1001-1", "", "PJSIP/"):
        assert account_of_channel(other, ACCOUNTS) is None


def test_time_stamps() -> None:
    assert time_of(event(Event="X", Timestamp="0.000001")) == datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)
    for odd in ("", "now", "1.5", "-1.000000", "99999999999.000000x", "1795288310"):
        assert time_of(event(Event="X", Timestamp=odd)) is None


def test_restart_is_told_from_a_broken_link() -> None:
    minute = timedelta(seconds=60)
    assert not was_restarted(None, minute, 0.0)
    assert not was_restarted((minute, 100.0), timedelta(seconds=70), 110.0)
    assert not was_restarted((minute, 100.0), timedelta(seconds=69), 110.9)
    assert was_restarted((minute, 100.0), timedelta(seconds=2), 110.0)
    assert was_restarted((timedelta(0), 100.0), timedelta(seconds=90), 200.0)


def test_customers_who_are_not_reached() -> None:
    """One is busy, one has no channel at all (no such trunk), one lets it ring."""
    translator = Translator(ACCOUNTS)
    found = [signal for m in messages("asterisk-22.10.1-originate.ami") if (signal := translator.signal(m, NOW))]
    unreached = [(x.unique_id, x.status) for x in found if isinstance(x, s.CustomerUnreached)]
    assert unreached == [
        ("a1-1.1-cb-1", "BUSY"), ("a1-1.1-cb-1", ""), ("a1-1.1-cb-2", ""), ("a1-1.1-cb-3", "NOANSWER"),
    ]  # fmt: skip
    gone = [(x.call_id, x.unique_id, x.is_caller, x.cause) for x in found if isinstance(x, s.ChannelGone)]
    assert gone == [("a1-1.1-cb", "a1-1.1-cb-1", True, 17), ("a1-1.1-cb", "a1-1.1-cb-3", True, 19)]


def test_a_customer_who_picks_up() -> None:
    about = {
        "Event": "UserEvent", "UserEvent": "CtiCallback", "Channel": "PJSIP/trunk-00000001", "Uniqueid": "a1-1.1-cb-2",
        "Call": "a1-1.1-cb",
    }  # fmt: skip
    for word, confirmed in (("yes", True), ("no", False), ("", False)):
        signal = translate(event(**about, Confirmed=word), ACCOUNTS, NOW)
        assert isinstance(signal, s.CustomerAnswered)
        assert (signal.call_id, signal.unique_id, signal.confirmed) == ("a1-1.1-cb", "a1-1.1-cb-2", confirmed)


def test_the_leg_of_an_agent_at_an_outside_number() -> None:
    dialled = event(
        Event="DialBegin", Channel="PJSIP/trunk-00000001", ChanVariable="CTI_CALL=a1-1.1", Context="cti-deliver-run",
        Exten="000000004231001", DestChannel="PJSIP/trunk-00000002", DestUniqueid="a1-1.2",
    )  # fmt: skip
    signal = translate(dialled, ACCOUNTS, NOW)
    assert isinstance(signal, s.AgentLegDialled)
    assert (signal.agent_id, signal.offer_id, signal.agent_channel) == ("1001", 42, "PJSIP/trunk-00000002")


def test_recordings_hold_every_event_that_is_used() -> None:
    seen = {
        m.event
        for name in ("answered", "refused", "originate")
        for m in messages(f"asterisk-22.10.1-{name}.ami", 100_000)
    }
    assert set(EVENTS_USED) <= seen


def test_events_may_come_a_little_out_of_order_and_no_more() -> None:
    order = OrderCheck()
    at = [100.0, 101.5, 101.0, 97.0, 96.4, 102.0]
    behind = [order.behind(event(Event="X", Timestamp=f"{moment:.6f}")) for moment in at]
    assert [x.total_seconds() if x else None for x in behind] == [None, None, None, None, pytest.approx(5.1), None]
    assert order.behind(event(Event="X")) is None


def test_an_agent_who_is_called_first_for_a_callback() -> None:
    """The command makes the agent's leg; its unique id names offer and agent, at an outside number, too."""
    call, leg, phone = "t1-1.1-cb", "t1-1.1-cb-a1795288311-1001", "PJSIP/trunk-00000003"
    mine = {"DestChannel": phone, "DestUniqueid": leg, "DestChanVariable": f"CTI_CALL={call}"}
    own = {"Channel": phone, "Uniqueid": leg, "ChanVariable": f"CTI_CALL={call}"}
    dialled = translate(event(Event="DialBegin", **mine), ACCOUNTS, NOW)
    assert isinstance(dialled, s.AgentLegDialled)
    assert (dialled.call_id, dialled.offer_id, dialled.agent_id, dialled.unique_id) == (call, 1795288311, "1001", leg)
    rang = translate(event(Event="DialState", DialStatus="RINGING", **mine), ACCOUNTS, NOW)
    assert isinstance(rang, s.AgentLegRinging)
    assert (rang.offer_id, rang.agent_channel) == (1795288311, phone)
    told_so = translate(event(Event="UserEvent", UserEvent="CtiCalling", Call=call, **own), ACCOUNTS, NOW)
    assert isinstance(told_so, s.AgentPickedUp)
    assert (told_so.offer_id, told_so.agent_id, told_so.unique_id) == (1795288311, "1001", leg)
    gone = translate(
        event(Event="UserEvent", UserEvent="CtiUnreached", Call=call, DialStatus="BUSY", **own), ACCOUNTS, NOW
    )
    assert isinstance(gone, s.CustomerUnreached)
    assert (gone.unique_id, gone.status) == (leg, "BUSY")
    joined = translate(event(Event="BridgeEnter", BridgeUniqueid="b1", **own), ACCOUNTS, NOW)
    assert isinstance(joined, s.BridgeJoined)
    assert (joined.call_id, joined.agent_id) == (call, "1001")
    customer = {"Channel": "PJSIP/trunk-00000004", "Uniqueid": "t1-1.4", "ChanVariable": f"CTI_CALL={call}"}
    joined = translate(event(Event="BridgeEnter", BridgeUniqueid="b1", **customer), ACCOUNTS, NOW)
    assert isinstance(joined, s.BridgeJoined)
    assert (joined.call_id, joined.agent_id) == (call, None)
    with pytest.raises(Odd):
        translate(event(Event="UserEvent", UserEvent="CtiCalling", Call=call, **customer), ACCOUNTS, NOW)
