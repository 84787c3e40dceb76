"""AMI's words into the house's: one event, one signal or none. Pure: a message and the table of accounts, nothing remembered.

What each event looks like on a real 22.10.1 is in tests/recordings/ami. Worth knowing:

- The events of a channel carry our variables (`channelvars=CTI_CALL,CTI_OFFER,CTI_QUEUE` in manager.conf) as
  `ChanVariable: CTI_CALL=...` headers, `DestChanVariable` for the second channel of a dial event.
- An agent's leg inherits CTI_CALL, but its first event (Newchannel) comes before it does.
- The caller's channel keeps the CTI_OFFER of an offer that came back, and a survival queue's legs inherit it. So the
  offer of a dial is read from the caller's extension in the deliver context, never from the variable.
- `SoftHangupRequest` is not used: Asterisk also sends it for the caller when the *dialplan* hangs up or a manager action
  does, so it does not tell who wanted it. The far end's own BYE is always a `HangupRequest`.
- `ContactStatus` says nothing of whether a device can be called (a `DeviceStateChange` does), but it alone tells, during a
  call, that the connection of a browser's registration is closed: the device stays "in use".
- `DialEnd` says NOANSWER for a rejected call (603) while the dialplan's DIALSTATUS says CHANUNAVAIL; only the cause is
  right (21). The Hangup of the *caller* may bear the cause of the last agent's leg.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cti.asterisk.ami.dial_actions import contact_signal, dialling_event, far_side
from cti.asterisk.ami.spy_actions import watch_leg_dialled, watch_leg_failed, watch_leg_there
from cti.asterisk.ami.wire import AmiMessage
from cti.ids import AgentId, CallId, ChannelName, OfferId, QueueName
from cti.model import signals as s
from cti.model.callback import agents_leg_of, is_callers_leg
from cti.model.facts import Device
from cti.model.supervision_legs import call_of_watch_leg
from cti.model.talk import call_of_party_leg

Accounts = Mapping[str, tuple[AgentId, Device]]
"""PJSIP endpoint -> the agent and device it is."""

UNREACHABLE_STATES = frozenset({"UNAVAILABLE", "INVALID", "UNKNOWN"})
IN_USE_STATES = frozenset({"INUSE", "RINGING", "ONHOLD", "BUSY", "RINGINUSE"})
DELIVER_CONTEXT = "cti-deliver"
OUTSIDE_DIGIT = "3"
"""In a target of the deliver context: an agent at an outside number."""

EVENTS_USED = (
    "UserEvent", "DialBegin", "DialState", "DialEnd", "BridgeEnter", "BridgeLeave", "Hold", "Unhold", "HangupRequest",
    "Hangup", "MixMonitorStart", "DeviceStateChange", "OriginateResponse", "ContactStatus",
)  # fmt: skip
"""All that is translated; FullyBooted and Shutdown are the link's. Everything else may be filtered out by Asterisk."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMESTAMP = re.compile(r"(\d{1,11})\.(\d{6})", re.ASCII)
_CALL_ID = re.compile(r"[A-Za-z0-9._-]{1,80}")
_QUEUE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"\+?[0-9]{1,32}")
_OFFER = re.compile(r"[0-9]{10}")
_TARGET = re.compile(r"([0-9]{10})([123])([0-9]{2,6})")
_SEVERAL = re.compile(r"([0-9]{10})0")
"""The target of an offer to several agents; whose devices are rung, each leg tells."""
_RECORDING = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]{0,200}")


def accounts_of(agents: Iterable[AgentId]) -> dict[str, tuple[AgentId, Device]]:
    """The endpoints the configuration makes for each agent: `<ext>` is the SIP phone, `<ext>-web` the browser."""
    accounts: dict[str, tuple[AgentId, Device]] = {}
    for agent_id in agents:
        accounts[agent_id] = (agent_id, Device.SIP)
        accounts[f"{agent_id}-web"] = (agent_id, Device.BROWSER)
    return accounts


def account_of_channel(channel: str, accounts: Accounts) -> tuple[AgentId, Device] | None:
    """The agent and device of a channel name such as `PJSIP/1001-web-0000002a`; None for anybody else's."""
    technology, _, rest = channel.partition("/")
    return accounts.get(rest.rpartition("-")[0]) if technology == "PJSIP" else None


def time_of(message: AmiMessage) -> datetime | None:
    """Asterisk's own stamp (`timestampevents=yes`, Unix seconds with six decimals); None when missing or odd."""
    return _moment(message.get("Timestamp"))


@lru_cache(maxsize=4)
def _moment(stamp: str) -> datetime | None:
    # Each stamp is read twice, for the order of the events and for the event.
    match = _TIMESTAMP.fullmatch(stamp)
    if match is None:
        return None
    try:
        return _EPOCH + timedelta(seconds=int(match[1]), microseconds=int(match[2]))
    except OverflowError:
        return None


def call_id_of(text: str | None) -> CallId | None:
    """A call's id as the variable holds it; None for an empty or impossible one."""
    return CallId(text) if text is not None and _CALL_ID.fullmatch(text) else None


def offer_id_of(context: str, exten: str) -> OfferId | None:
    """The offer a caller's channel is in: the first ten digits of the extension dialled in the deliver context."""
    if not context.startswith(DELIVER_CONTEXT):
        return None
    target = _TARGET.fullmatch(exten) or _SEVERAL.fullmatch(exten)
    return None if target is None else OfferId(int(target[1]))


def offer_id_in(text: str | None) -> OfferId | None:
    """An offer's ten digits as a variable or a header holds them; None for anything else."""
    return OfferId(int(text)) if text is not None and _OFFER.fullmatch(text) else None


def queue_of(text: str | None) -> QueueName | None:
    """A queue's name; None for an empty or impossible one."""
    return QueueName(text) if text is not None and _QUEUE.fullmatch(text) else None


def number_of(text: str | None) -> str | None:
    """A caller's number as the dialplan cleaned it (digits, perhaps a leading +); None when withheld."""
    return text if text is not None and _NUMBER.fullmatch(text) else None


def whole(text: str) -> int:
    """A non-negative number, 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


class Odd(Exception):
    """An event that should have become a signal and lacks what it needs; counted, never raised to the outside."""


def translate(message: AmiMessage, accounts: Accounts, received_at: datetime) -> s.Signal | None:
    """The signal an event means, None when it means nothing to us.

    `received_at` stands in for a missing time stamp. Raises `Odd` and nothing else.
    """
    maker = _MAKERS.get(message.event)
    if maker is None:
        return None
    return maker(message, accounts, time_of(message) or received_at)


ORDER_TOLERANCE = timedelta(seconds=5)
"""How far Asterisk's stamps may run backwards within one session. Its threads stamp an event a moment before they queue it,
and a busy machine makes that moment long; more than this is a replay, a forgery or a clock that was set back."""


class OrderCheck:
    """Watches one session's events for going back in time.

    A filtered session cannot count events (its sequence numbers have gaps by nature), so order is all it can check;
    completeness comes from the snapshot and the ledger.
    """

    def __init__(self) -> None:
        self._newest: datetime | None = None

    def behind(self, message: AmiMessage) -> timedelta | None:
        """By how much this event is older than the newest before it, if that is more than the tolerance."""
        at = time_of(message)
        if at is None:
            return None
        if self._newest is None or at >= self._newest:
            self._newest = at
            return None
        behind = self._newest - at
        return behind if behind > ORDER_TOLERANCE else None


class Translator:
    """`translate`, which never raises and counts what it saw."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.translated = 0
        self.unused = 0
        """Events that mean nothing to us; many of them means that manager.conf lets too much through."""
        self.odd = 0
        """Events that should have meant something and could not be read."""

    def signal(self, message: AmiMessage, received_at: datetime) -> s.Signal | None:
        """The signal this event means, if any."""
        try:
            signal = translate(message, self.accounts, received_at)
        except Odd:
            self.odd += 1
            return None
        if signal is None:
            self.unused += 1
        else:
            self.translated += 1
        return signal


def device_signal(message: AmiMessage, accounts: Accounts, at: datetime) -> s.DeviceReachable | None:
    """A `DeviceStateChange`, spontaneous or an item of DeviceStateList."""
    technology, _, endpoint = message.get("Device").partition("/")
    account = accounts.get(endpoint) if technology == "PJSIP" else None
    if account is None:
        return None
    state = message.get("State")
    return s.DeviceReachable(
        at=at,
        agent_id=account[0],
        device=account[1],
        reachable=state not in UNREACHABLE_STATES and state != "",
        in_use=state in IN_USE_STATES,
    )


def _call(message: AmiMessage) -> CallId | None:
    return call_id_of(message.variable("CTI_CALL"))


def _channel(message: AmiMessage, header: str = "Channel") -> ChannelName:
    channel = message.get(header)
    if not channel:
        raise Odd(header)
    return ChannelName(channel)


def _agent(channel: str, accounts: Accounts) -> AgentId | None:
    account = account_of_channel(channel, accounts)
    return None if account is None else account[0]


def _agent_on(message: AmiMessage, channel: str, accounts: Accounts) -> AgentId | None:
    """The agent whose channel the event is about: a device of theirs, or a leg that was made for them."""
    call_id = _call(message)
    own = agents_leg_of(call_id, message.get("Uniqueid")) if call_id is not None else None
    return own[1] if own is not None else _agent(channel, accounts)


def _user_event(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    name = message.get("UserEvent")
    if name not in (
        "CtiInbound",
        "CtiWait",
        "CtiReturned",
        "CtiSurvival",
        "CtiVoicemail",
        "CtiCallback",
        "CtiCalling",
        "CtiUnreached",
        "CtiInternal",
        "CtiDialled",
        "CtiAlone",
        "CtiWatch",
    ):
        return None
    call_id = call_id_of(message.get("Call"))
    if call_id is None:
        raise Odd("Call")
    channel = _channel(message)
    if name == "CtiInbound":
        return s.CallerEntered(
            at=at,
            call_id=call_id,
            channel=channel,
            caller_number=number_of(message.get("Number")),
            did=number_of(message.get("Did")) or "",
        )
    if name in ("CtiInternal", "CtiDialled"):
        return dialling_event(message, call_id, _agent(channel, accounts), at)
    if name == "CtiWait":
        return s.WaitEntered(at=at, call_id=call_id, channel=channel, unique_id=message.get("Uniqueid"))
    if name == "CtiWatch":
        return watch_leg_there(message, call_id, at)
    if name == "CtiAlone":
        return s.LeftAlone(at=at, call_id=call_id, channel=channel)
    if name == "CtiSurvival":
        return s.SurvivalBegan(at=at, call_id=call_id, channel=channel, queue=queue_of(message.get("Queue")))
    if name == "CtiCallback":
        unique_id = message.get("Uniqueid")
        if call_id_of(unique_id) is None:
            raise Odd("Uniqueid")
        confirmed = message.get("Confirmed") == "yes"
        return s.CustomerAnswered(at=at, call_id=call_id, channel=channel, unique_id=unique_id, confirmed=confirmed)
    if name in ("CtiCalling", "CtiUnreached"):
        unique_id = message.get("Uniqueid")
        own = agents_leg_of(call_id, unique_id)
        if own is None:
            raise Odd("Uniqueid")
        if name == "CtiUnreached":
            return s.CustomerUnreached(at=at, unique_id=unique_id, status=message.get("DialStatus"))
        return s.AgentPickedUp(
            at=at, call_id=call_id, offer_id=own[0], agent_id=own[1], channel=channel, unique_id=unique_id
        )
    if name == "CtiVoicemail":
        path = message.get("Path")
        if not path or "/" in path:
            raise Odd("Path")
        return s.VoicemailRecorded(at=at, call_id=call_id, path=path, seconds=float(whole(message.get("Seconds"))))
    offer_id = offer_id_in(message.get("Offer"))
    if offer_id is None:
        raise Odd("Offer")
    return s.OfferReturned(
        at=at,
        call_id=call_id,
        offer_id=offer_id,
        channel=channel,
        status=message.get("DialStatus"),
        cause=whole(message.get("Cause")),
    )


def _dial(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    agent_channel = _channel(message, "DestChannel")
    agent_id = _agent(agent_channel, accounts) or _outside_agent(message)
    call_id = _call(message) or call_id_of(message.variable("CTI_CALL", "DestChanVariable"))
    event, status = message.event, message.get("DialStatus")
    leg = message.get("DestUniqueid")
    if event == "DialEnd" and status == "ANSWER" and _is_trunk(agent_channel, leg, accounts) and call_id is not None:
        return s.TrunkAnswered(at=at, call_id=call_id, unique_id=leg, context=message.get("Context"))
    if (asked_for := call_of_party_leg(leg)) is not None:
        return _party(at, asked_for, leg, agent_channel, event, status)
    if call_of_watch_leg(leg) is not None:
        return watch_leg_dialled(message, leg, agent_channel, event, status, at)
    if call_id is not None and event == "DialEnd" and is_callers_leg(call_id, leg) and status != "ANSWER":
        return s.CustomerUnreached(at=at, unique_id=leg, status=status)
    offer_id = offer_id_of(message.get("Context"), message.get("Exten"))
    if call_id is not None and (own := agents_leg_of(call_id, leg)) is not None:
        offer_id, agent_id = own
    far = far_side(message, call_id, agent_id, leg == call_id, at) if call_id is not None else None
    if agent_id is None or call_id is None or far is not None:
        return far
    if event == "DialBegin":
        return s.AgentLegDialled(
            at=at,
            call_id=call_id,
            offer_id=offer_id,
            channel=ChannelName(message.get("Channel")),
            agent_channel=agent_channel,
            agent_id=agent_id,
            unique_id=leg,
        )
    if event == "DialEnd":
        return s.AgentLegEnded(at=at, call_id=call_id, offer_id=offer_id, agent_channel=agent_channel, status=status)
    if status == "RINGING":
        return s.AgentLegRinging(at=at, call_id=call_id, offer_id=offer_id, agent_channel=agent_channel)
    return None


def _is_trunk(channel: str, unique_id: str, accounts: Accounts) -> bool:
    """Whether a channel that is dialled leaves the house: it is no agent's account and no supervisor's."""
    ours = account_of_channel(channel, accounts) is not None or call_of_watch_leg(unique_id) is not None
    return channel.startswith("PJSIP/") and not ours


def _party(at: datetime, call_id: CallId, leg: str, channel: ChannelName, event: str, status: str) -> s.PartyLeg | None:
    """What dialling a third party says; that they have answered, a bridge tells."""
    if event == "DialBegin":
        return s.PartyLeg(at=at, call_id=call_id, leg_id=leg, channel=channel, event="dialled")
    if event == "DialEnd":
        if status == "ANSWER":
            return None
        return s.PartyLeg(at=at, call_id=call_id, leg_id=leg, channel=channel, event="failed", status=status)
    if status == "RINGING":
        return s.PartyLeg(at=at, call_id=call_id, leg_id=leg, channel=channel, event="ringing")
    return None


def _outside_agent(message: AmiMessage) -> AgentId | None:
    """The agent at an outside number whom the deliver context dials: the leg is the trunk's, only the target names them."""
    in_deliver = message.get("Context").startswith(DELIVER_CONTEXT)
    target = _TARGET.fullmatch(message.get("Exten")) if in_deliver else None
    return AgentId(target[3]) if target is not None and target[2] == OUTSIDE_DIGIT else None


def _originated(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    """What came of dialling a customer; success is told better by the dialplan."""
    unique_id = message.get("Uniqueid")
    if message.get("Response") == "Success" or call_id_of(unique_id) is None:
        return None
    if call_of_watch_leg(unique_id) is not None:
        return watch_leg_failed(message, at)
    if (asked_for := call_of_party_leg(unique_id)) is not None:
        status = "NOANSWER" if message.get("Reason") == "3" else ""
        none = ChannelName("")
        return s.PartyLeg(at=at, call_id=asked_for, leg_id=unique_id, channel=none, event="failed", status=status)
    # Reason 3: rang for as long as it may. It is 0 even for a busy customer; DialEnd, just before it, knows better.
    return s.CustomerUnreached(at=at, unique_id=unique_id, status="NOANSWER" if message.get("Reason") == "3" else "")


def _bridge(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    kind = s.BridgeJoined if message.event == "BridgeEnter" else s.BridgeParted
    bridge_id = message.get("BridgeUniqueid")
    if not bridge_id:
        raise Odd("BridgeUniqueid")
    channel = _channel(message)
    return kind(
        at=at,
        bridge_id=bridge_id,
        channel=channel,
        call_id=_call(message),
        agent_id=_agent_on(message, channel, accounts),
    )


def _hold(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    channel = _channel(message)
    return s.HoldChanged(
        at=at,
        channel=channel,
        call_id=_call(message),
        agent_id=_agent_on(message, channel, accounts),
        held=message.event == "Hold",
    )


def _hangup_request(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    channel = _channel(message)
    return s.HangupAsked(at=at, channel=channel, call_id=_call(message), agent_id=_agent_on(message, channel, accounts))


def _hangup(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    channel, call_id = _channel(message), _call(message)
    return s.ChannelGone(
        at=at,
        channel=channel,
        call_id=call_id,
        agent_id=_agent_on(message, channel, accounts),
        is_caller=call_id is not None and is_callers_leg(call_id, message.get("Uniqueid")),
        cause=whole(message.get("Cause")),
        unique_id=message.get("Uniqueid"),
    )


def _recording(message: AmiMessage, accounts: Accounts, at: datetime) -> s.Signal | None:
    call_id = _call(message)
    if call_id is None:
        return None
    # The event itself does not name the file: it is <call id>.wav, unless the channel's variable says otherwise.
    path = message.variable("CTI_RECORDING")
    if path is None or not _RECORDING.fullmatch(path):
        path = f"{call_id}.wav"
    return s.RecordingBegan(at=at, call_id=call_id, path=path)


_MAKERS: dict[str, Callable[[AmiMessage, Accounts, datetime], s.Signal | None]] = {
    "UserEvent": _user_event,
    "DialBegin": _dial,
    "DialState": _dial,
    "DialEnd": _dial,
    "BridgeEnter": _bridge,
    "BridgeLeave": _bridge,
    "Hold": _hold,
    "Unhold": _hold,
    "HangupRequest": _hangup_request,
    "Hangup": _hangup,
    "MixMonitorStart": _recording,
    "DeviceStateChange": device_signal,
    "OriginateResponse": _originated,
    "ContactStatus": contact_signal,
}
