"""The picture after a (re)connect: what Asterisk's lists say, as one `Snapshot`. Pure; the adapter does the asking."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cti.asterisk.ami.translate import (
    Accounts,
    account_of_channel,
    call_id_of,
    device_signal,
    number_of,
    offer_id_in,
    offer_id_of,
    queue_of,
    whole,
)
from cti.asterisk.ami.wire import AmiMessage
from cti.ids import ChannelName
from cti.model import signals as s
from cti.model.callback import agents_leg_of
from cti.model.facts import Device

VARIABLES = ("CTI_CALL", "CTI_OFFER", "CTI_QUEUE", "CTI_NUMBER", "CTI_DID")
"""Channel variables asked for with Status; they come back as `Variable: <name>=<value>`."""

STATUS: dict[str, str] = {"Action": "Status", "Variables": ",".join(VARIABLES)}
"""Lists every channel, with our variables and the bridge it is in."""

DEVICES: dict[str, str] = {"Action": "DeviceStateList"}
"""Lists every device; one that no phone has registered for is UNAVAILABLE. Needs module res_manager_devicestate."""

RESTART_SLACK = timedelta(seconds=3)
"""Asterisk tells its up-time in whole seconds."""


def snapshot_of(
    channels: Iterable[AmiMessage],
    devices: Iterable[AmiMessage],
    *,
    accounts: Accounts,
    at: datetime,
    restarted: bool,
) -> s.Snapshot:
    """Put the items of both lists together. Items that cannot be read are left out."""
    live = [channel for item in channels if (channel := _live_channel(item, accounts)) is not None]
    states = [state for item in devices if (state := device_signal(item, accounts, at)) is not None]
    return s.Snapshot(at=at, channels=tuple(live), devices=_all_accounts(states, accounts, at), restarted=restarted)


def _all_accounts(
    states: Sequence[s.DeviceReachable], accounts: Accounts, at: datetime
) -> tuple[s.DeviceReachable, ...]:
    """Every account of every agent: one that Asterisk does not list (not rendered yet) cannot be called."""
    told = {(state.agent_id, state.device): state for state in states}
    for agent_id, device in accounts.values():
        told.setdefault(
            (agent_id, device),
            s.DeviceReachable(at=at, agent_id=agent_id, device=device, reachable=False, in_use=False),
        )
    return tuple(told[key] for key in sorted(told))


def _live_channel(item: AmiMessage, accounts: Accounts) -> s.LiveChannel | None:
    channel, unique_id = item.get("Channel"), item.get("Uniqueid")
    if not channel or not unique_id:
        return None
    value = {name: item.variable(name, "Variable") for name in VARIABLES}
    account = account_of_channel(channel, accounts)
    call_id = call_id_of(value["CTI_CALL"])
    own = agents_leg_of(call_id, unique_id) if call_id is not None else None
    if own is not None and account is None:
        account = (own[1], Device.EXTERNAL)
    offer_id = offer_id_of(item.get("Context"), item.get("Exten"))
    if offer_id is None and account is not None:
        offer_id = offer_id_in(value["CTI_OFFER"])  # an agent's leg is not in the deliver context, but inherits it
    return s.LiveChannel(
        channel=ChannelName(channel),
        unique_id=unique_id,
        call_id=call_id,
        offer_id=offer_id,
        agent_id=None if account is None else account[0],
        device=None if account is None else account[1],
        context=item.get("Context"),
        state=item.get("ChannelStateDesc"),
        bridge_id=item.get("BridgeID") or None,
        queue=queue_of(value["CTI_QUEUE"]),
        caller_number=number_of(value["CTI_NUMBER"]),
        did=number_of(value["CTI_DID"]) or "",
        seconds=float(whole(item.get("Seconds"))),
    )


def was_restarted(previous: tuple[timedelta, float] | None, uptime: timedelta, monotonic: float) -> bool:
    """Whether Asterisk is another process than at the last link.

    `previous` is the up-time told then and our monotonic seconds at that moment; an Asterisk that kept running has aged
    by as much as we have. False for the first link of our own life: nothing is known to compare with.
    """
    if previous is None:
        return False
    earlier, then = previous
    return uptime + RESTART_SLACK < earlier + timedelta(seconds=monotonic - then)
