"""The telephone system as the services see it: signals out of AMI events, AMI actions out of commands.

How the picture stays right across reconnects. A session starts at the tail of Asterisk's event stream: nothing is
replayed. After every log-in the adapter asks for the lists of channels and devices and delivers them as one `Snapshot`;
events that arrive meanwhile wait in the session's queue and are delivered after it, in order. Why that is right:

- Nothing is lost. Events flow from the log-in on, the lists are asked for after it. A change before the list was
  read is in the list; a change after it is in the queue; there is no moment between.
- Applying one twice does no harm. Asterisk writes an answer at once but events only between actions, so the queue may
  hold events *older* than the list ("left the bridge" of a channel the list no longer has). For every object (channel,
  bridge membership, device) all events since the log-in are delivered in their order, so the last one delivered is the
  newest truth, whatever the list already knew; and each signal names a fact, not a step ("is in bridge B", "is gone",
  "can be called"), so the services may take it again over a picture that has it: they ignore what does not fit.

Dropping the "old" events instead would need to know which are in the list; AMI's time stamps are those of the message
bus, not of the change, so that cannot be told, and guessing loses events.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import structlog

from cti.asterisk.ami import fence
from cti.asterisk.ami.client import AmiLink, AmiSession
from cti.asterisk.ami.dial_actions import (
    apologise_action,
    callers_channel,
    rejoin_action,
    resume_action,
    ring_to_dial_action,
    ringback_action,
)
from cti.asterisk.ami.errors import AmiActionInvalid, AmiLinkLost, AmiProtocolError, AmiRefused
from cti.asterisk.ami.our_clock import on_our_clock
from cti.asterisk.ami.recording_actions import (
    delivery_preparation,
    recording_action,
    recording_preparation,
    told_to_record,
)
from cti.asterisk.ami.snapshot import DEVICES, STATUS, snapshot_of, was_restarted
from cti.asterisk.ami.spy_actions import dial_watcher_action, spy_action, spy_preparation
from cti.asterisk.ami.translate import Accounts, OrderCheck, Translator
from cti.asterisk.ami.wire import AmiMessage
from cti.asterisk.life import AsteriskLife
from cti.clock import Clock
from cti.errors import CtiError, RemoteError
from cti.ids import ChannelName
from cti.model.commands import (
    Command,
    ConfirmCallback,
    Deliver,
    DialCustomer,
    DialParty,
    EnterRoom,
    HangUp,
    HoldCaller,
    HoldParty,
    PressKeys,
    ReturnToWait,
    RingForCallback,
    SendOut,
    SendToFlow,
    SendToVoicemail,
    SetQueue,
)
from cti.model.dial_commands import Apologise, Rejoin, Resume, Ringback, RingToDial
from cti.model.facts import Device
from cti.model.ownership import Ownership, Standing
from cti.model.recording_commands import BeginRecording, EndRecording, PauseRecording
from cti.model.signals import LinkLost, Signal, Snapshot
from cti.model.supervision_commands import DialWatcher, SpyOn

log = structlog.get_logger(__name__)

DEVICE_DIGIT = {Device.SIP: "1", Device.BROWSER: "2", Device.EXTERNAL: "3"}
CONTEXTS: dict[type[Command], str] = {
    ReturnToWait: "cti-wait",
    SendToVoicemail: "cti-voicemail",
    SendToFlow: "cti-flow",
    ConfirmCallback: "cti-asked",
}
"""Where a Redirect of a caller without more to say ends."""
LIST_DEADLINE = timedelta(seconds=15)
"""For one list of the snapshot: 10,000 channels take Asterisk under a second."""

_AGENT = re.compile(r"[0-9]{2,6}")
_QUEUE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_DEVICES = {Device.SIP: "", Device.BROWSER: "-web"}
"""What a device adds to its agent's extension, as an account that can be rung together with others."""
_KEYS = re.compile(r"[0-9*#]{1,32}")
SURE_WITHIN = 3.0
"""Seconds a command waits for a word on who owns the floor."""
SURE_LOOK = 0.05
KEY_SECONDS = 0.25
"""From the beginning of a pressed key to the next."""
_E164 = re.compile(r"\+[1-9][0-9]{5,14}")
_PLAIN = re.compile(r"[A-Za-z0-9+._-]{0,128}")
"""What may stand in a variable's value: nothing that would begin another."""


def _redirect(channel: ChannelName, context: str, extension: str) -> dict[str, str | list[str]]:
    return {"Action": "Redirect", "Channel": channel, "Context": context, "Exten": extension, "Priority": "1"}


def action_of(command: Command, trunk: str = "trunk") -> dict[str, str | list[str]]:
    """The AMI action that performs a command. `trunk` is the endpoint by which calls to outside numbers leave.

    Raises `AmiActionInvalid` when the command cannot be said in AMI.
    """
    if isinstance(command, Deliver):
        if not 0 <= command.offer_id < 10**10 or _AGENT.fullmatch(command.agent_id) is None:
            raise AmiActionInvalid(
                f"offer {command.offer_id} to agent {command.agent_id!r} does not make an extension of the deliver context"
            )
        target = "0" if command.others else f"{DEVICE_DIGIT[command.device]}{command.agent_id}"
        return _redirect(command.channel, "cti-deliver", f"{command.offer_id:010d}{target}")
    if isinstance(command, ReturnToWait | SendToVoicemail | SendToFlow | ConfirmCallback):
        return _redirect(command.channel, CONTEXTS[type(command)], "s")
    if isinstance(command, Resume):
        return resume_action(command)
    if isinstance(command, Rejoin):
        return rejoin_action(command)
    if isinstance(command, Apologise):
        return apologise_action(command)
    if isinstance(command, Ringback):
        return ringback_action(command)
    if isinstance(command, RingToDial):
        return ring_to_dial_action(command, trunk)
    if isinstance(command, DialWatcher):
        return dial_watcher_action(command)
    if isinstance(command, SpyOn):
        return spy_action(command)
    if isinstance(command, BeginRecording | EndRecording | PauseRecording):
        return recording_action(command)
    if isinstance(command, HangUp):
        return {"Action": "Hangup", "Channel": command.channel, "Cause": str(command.cause)}
    if isinstance(command, SetQueue):
        if _QUEUE.fullmatch(command.queue) is None:
            raise AmiActionInvalid(f"{command.queue!r} is no name of a queue")
        return {
            "Action": "Setvar",
            "Channel": command.channel,
            "Variable": "ARRAY(CTI_QUEUE,CTI_RING,CTI_RECORD)",
            "Value": f"{command.queue},{round(command.ring_timeout.total_seconds())},{'1' if command.record else ''}",
        }
    if isinstance(command, SendOut):
        return _redirect(command.channel, "cti-out", _outside(command.number).removeprefix("+"))
    if isinstance(command, HoldCaller | HoldParty | EnterRoom):
        return _move(command)
    if isinstance(command, DialParty):
        return _dial_party(command, trunk)
    if isinstance(command, DialCustomer):
        return _originate(command, trunk)
    if isinstance(command, RingForCallback):
        return _ring_for_callback(command, trunk)
    raise AmiActionInvalid(f"{type(command).__name__} has no action yet")


def _move(command: HoldCaller | HoldParty | EnterRoom) -> dict[str, str | list[str]]:
    """A Redirect into the hold context or the room. Two channels that talk with each other are moved by one action: the
    first to leave would end the other."""
    party = isinstance(command, HoldParty) or (isinstance(command, EnterRoom) and command.party)
    action: dict[str, str | list[str]] = _redirect(
        command.channel, "cti-room" if isinstance(command, EnterRoom) else "cti-held", "party" if party else "s"
    )
    agent_channel = None if isinstance(command, HoldParty) else command.agent_channel
    if agent_channel is not None:
        action |= {
            "ExtraChannel": agent_channel,
            "ExtraContext": "cti-room",
            "ExtraExten": "party",
            "ExtraPriority": "1",
        }
    return action


def _dial_party(command: DialParty, trunk: str) -> dict[str, str | list[str]]:
    if command.agent_id is not None and command.device is not Device.EXTERNAL:
        if _AGENT.fullmatch(command.agent_id) is None:
            raise AmiActionInvalid(f"agent {command.agent_id!r} cannot be said in AMI")
        account = command.agent_id + _DEVICES[command.device]
    else:
        account = f"{_outside(command.number)}@{trunk}"
    values = {"__CTI_CALL": command.call_id, "CTI_PARTY": "1"}
    if command.agent_id is not None and command.device is not Device.EXTERNAL:
        values["PJSIP_HEADER(add,X-CTI-Call)"] = command.call_id
        values["PJSIP_HEADER(add,X-CTI-Consult)"] = "1"
    if not all(_PLAIN.fullmatch(text) for text in (*values.values(), command.channel_id, command.shown)):
        raise AmiActionInvalid("a value of the call to a third party has characters that AMI would read as more")
    values |= callers_channel(command.caller)
    return {
        "Action": "Originate",
        "Channel": f"PJSIP/{account}",
        "ChannelId": command.channel_id,
        "Context": "cti-room",
        "Exten": "party",
        "Priority": "1",
        "Timeout": str(round(command.ring_timeout.total_seconds() * 1000)),
        "CallerID": f"<{command.shown}>",
        "Variable": [f"{name}={text}" for name, text in values.items()],
        "Async": "true",
    }


def preparation_of(command: Command) -> dict[str, str] | None:
    """What must be done before the command's action: the devices of an offer to several are told in a variable.

    It names its offer, so that the dialplan rings nobody by the list of another one. Raises `AmiActionInvalid`.
    """
    if isinstance(command, SpyOn):
        return spy_preparation(command)
    if isinstance(command, SendOut) and command.back:
        return {"Action": "Setvar", "Channel": command.channel, "Variable": "CTI_BACK", "Value": "wait"}
    if isinstance(command, BeginRecording):
        return recording_preparation(command)
    if not isinstance(command, Deliver):
        return None
    if not command.others:
        return delivery_preparation(command)
    rung = ((command.agent_id, command.device), *command.others)
    if any(_AGENT.fullmatch(agent_id) is None or device not in _DEVICES for agent_id, device in rung):
        raise AmiActionInvalid(f"offer {command.offer_id} has an agent who cannot be rung together with others")
    accounts = "&".join(f"{agent_id}{_DEVICES[device]}" for agent_id, device in rung)
    return {
        "Action": "Setvar",
        "Channel": command.channel,
        "Variable": "CTI_DIAL" if command.record is None else "ARRAY(CTI_DIAL,CTI_RECORD)",
        "Value": f"{command.offer_id:010d}:{accounts}" + told_to_record(command.record),
    }


def _ring_for_callback(command: RingForCallback, trunk: str) -> dict[str, str | list[str]]:
    outside = command.device is Device.EXTERNAL
    if not 0 <= command.offer_id < 10**10 or _AGENT.fullmatch(command.agent_id) is None:
        raise AmiActionInvalid(f"offer {command.offer_id} to agent {command.agent_id!r} cannot be said in AMI")
    account = f"{_outside(command.agent_number)}@{trunk}" if outside else command.agent_id + _DEVICES[command.device]
    values = {
        "__CTI_CALL": command.call_id,
        "__CTI_OFFER": f"{command.offer_id:010d}",
        "CTI_NUMBER": command.number,
        "CTI_DID": command.did,
        "__CTI_QUEUE": command.queue or "",
        "CTI_SECONDS": str(round(command.ring_timeout.total_seconds())),
        "CTI_RECORD": "1" if command.record else "",
        "CTI_OUTSIDE": "1" if outside else "",
    }
    if not all(_PLAIN.fullmatch(text) for text in (*values.values(), command.channel_id, command.shown)):
        raise AmiActionInvalid("a value of the call to an agent has characters that AMI would read as more")
    if not outside:
        values["PJSIP_HEADER(add,X-CTI-Call)"] = values["__CTI_CALL"]
        values["PJSIP_HEADER(add,X-CTI-Offer)"] = values["__CTI_OFFER"]
    return {
        "Action": "Originate",
        "Channel": f"PJSIP/{account}",
        "ChannelId": command.channel_id,
        "Context": "cti-callback-agent",
        "Exten": _outside(command.number).removeprefix("+"),
        "Priority": "1",
        "Timeout": str(round(command.agents_ring.total_seconds() * 1000)),
        "CallerID": f"<{command.shown}>",
        "Variable": [f"{name}={text}" for name, text in values.items()],
        "Async": "true",
    }


def _originate(command: DialCustomer, trunk: str) -> dict[str, str | list[str]]:
    values = {
        "__CTI_CALL": command.call_id,
        "CTI_NUMBER": command.number,
        "CTI_DID": command.did,
        "CTI_QUEUE": command.queue or "",
        "CTI_SURVIVAL_QUEUE": command.queue or "",
        "CTI_LANGUAGE": command.language,
        "CTI_RING": str(round(command.agents_ring.total_seconds())) if command.agents_ring is not None else "",
        "CTI_RECORD": "1" if command.record else "",
    }
    if not all(_PLAIN.fullmatch(text) for text in (*values.values(), command.channel_id, command.caller_id)):
        raise AmiActionInvalid("a value of the call to a customer has characters that AMI would read as more")
    return {
        "Action": "Originate",
        "Channel": f"PJSIP/{_outside(command.number)}@{trunk}",
        "ChannelId": command.channel_id,
        "Context": "cti-callback",
        "Exten": "s",
        "Priority": "1",
        "Timeout": str(round(command.ring_timeout.total_seconds() * 1000)),
        "CallerID": f"<{command.caller_id}>",
        "Variable": ",".join(f"{name}={text}" for name, text in values.items()),
        "Async": "true",
    }


def _outside(number: str) -> str:
    if _E164.fullmatch(number) is None:
        raise AmiActionInvalid("an outside number is E.164 with its plus, or it is not dialled")
    return number


class AmiTelephony:
    """Satisfies `cti.services.ports.Telephony` with one Asterisk.

    `deliver` is called with every signal, in order, from the one task that runs `run`; it must return at once.
    `ownership` is this process's right to act; None: nobody else could have it. Nothing is sent without it.
    """

    def __init__(
        self,
        link: AmiLink,
        *,
        accounts: Accounts,
        deliver: Callable[[Signal], None],
        clock: Clock,
        trunk: str = "trunk",
        ownership: Ownership | None = None,
        ahead: Callable[[], timedelta] = timedelta,
        life: AsteriskLife | None = None,
    ) -> None:
        """`ahead`: by how much our clock is ahead of the one Asterisk takes its stamps from, when that was stepped. `life`:
        tells that the Asterisk behind the link has ended; None: nobody can."""
        self.link = link
        self._ahead = ahead
        self._ownership = ownership
        self._trunk = trunk
        self.translator = Translator(accounts)
        self._deliver = deliver
        self._clock = clock
        self._session: AmiSession | None = None
        self._in_step = False
        self._last_uptime: tuple[timedelta, float] | None = None
        self._life = life
        if life is not None:
            life.on_death = self._asterisk_died

    def connected(self) -> bool:
        """Whether the link is up and the last snapshot was delivered."""
        return self._in_step and self._session is not None and not self._session.lost

    @property
    def problem(self) -> RemoteError | None:
        """Why there is no link; None while there is one."""
        return self.link.problem

    def use_accounts(self, accounts: Accounts) -> None:
        """From now on these endpoints are agents' devices (the centre's configuration changed)."""
        self.translator.accounts = accounts

    async def perform(self, command: Command) -> None:
        """Carry the command out: returns when Asterisk has said yes.

        Raises `RemoteError`: `AmiRefused` (no such channel), `AmiLinkLost` or `AmiRequestTimeout`; `outcome_unknown` says
        whether it may have been done all the same. Nothing is ever sent a second time.
        """
        session = self._session
        if session is None:
            raise AmiLinkLost(f"{type(command).__name__} was not sent: there is no link to Asterisk")
        await self._owned(session, type(command).__name__)
        try:
            if isinstance(command, PressKeys):
                await self._press(session, command)
                return
            if (before := preparation_of(command)) is not None:
                await self._prepare(session, command, before)
            await session.ask(action_of(command, self._trunk))
        except RemoteError:
            raise
        except CtiError as error:
            raise RemoteError(f"{type(command).__name__} was not sent: {error.message}") from error

    async def _prepare(self, session: AmiSession, command: Command, before: dict[str, str]) -> None:
        """Raises `RemoteError`: what was to be prepared was surely not done, whatever became of the preparation."""
        try:
            await session.ask(before)
        except RemoteError as error:
            raise RemoteError(f"{type(command).__name__} was not sent: {error.message}") from error

    async def _owned(self, session: AmiSession, what: str) -> None:
        """Wait until it is sure that we own the floor. Raises `RemoteError` when we do not.

        Where it stays unsure the link is given up: the next session's snapshot has everything decided anew, and nobody waits
        for a command that was never sent.
        """
        ownership = self._ownership
        if ownership is None:
            return
        began = self._clock.monotonic()
        while (standing := ownership.standing(self._clock.monotonic())) is Standing.UNSURE:
            if self._clock.monotonic() - began > SURE_WITHIN:
                session.abort(AmiProtocolError("whether this bridge owns the floor could not be made sure"))
                break
            await asyncio.sleep(SURE_LOOK)
        if standing is not Standing.OWNER:
            raise RemoteError(f"{what} was not sent: another bridge may own the floor by now")

    async def _press(self, session: AmiSession, command: PressKeys) -> None:
        """Keys one after another: two at once would be heard as one."""
        if _KEYS.fullmatch(command.keys) is None:
            raise AmiActionInvalid("keys are 0-9, * and #")
        for key in command.keys:
            await session.ask({"Action": "PlayDTMF", "Channel": command.channel, "Digit": key, "Duration": "120"})
            await asyncio.sleep(KEY_SECONDS)

    async def keep(self, fields: Mapping[str, str]) -> None:
        """Have Asterisk keep something in its database, as the owner of the floor. Raises `RemoteError`."""
        session = self._linked()
        await self._owned(session, fields["Action"])
        await session.ask(fields)

    async def listed(self, fields: Mapping[str, str]) -> list[AmiMessage]:
        """What Asterisk lists. Raises `RemoteError`."""
        return await self._linked().ask_list(fields, deadline=LIST_DEADLINE)

    async def reload(self, module: str) -> None:
        """Have Asterisk read a module's configuration again. Raises `RemoteError`."""
        await self._linked().ask({"Action": "Reload", "Module": module}, deadline=LIST_DEADLINE)

    async def has_endpoint(self, name: str) -> bool:
        """Whether Asterisk knows a SIP account. Raises `RemoteError`."""
        try:
            await self._linked().ask_list({"Action": "PJSIPShowEndpoint", "Endpoint": name}, deadline=LIST_DEADLINE)
        except AmiRefused:
            return False
        return True

    def _linked(self) -> AmiSession:
        if self._session is None:
            raise AmiLinkLost("there is no link to Asterisk")
        return self._session

    async def run(self) -> NoReturn:
        """Keep the link and deliver signals, for ever. The owner's task; cancel it to stop."""
        try:
            await self.link.run(self._serve)
        finally:
            if self._life is not None:
                self._life.close()

    async def _serve(self, session: AmiSession) -> None:
        """One session, from its snapshot to its loss."""
        self._session = session
        began = self._clock.monotonic()
        order, ownership = OrderCheck(), self._ownership
        if self._life is not None:
            self._life.link_up(session.uptime)
        try:
            if ownership is not None and not await fence.announce(session, ownership, began):
                session.abort(fence.replaced())
                return
            await self._take_snapshot(session, began)
            while events := await session.next_events():
                for event in events:
                    if ownership is not None:
                        fence.heard(event, ownership)
                    if (behind := order.behind(event)) is not None:
                        # What it says may be long over: drop the link and look anew instead of believing it.
                        session.abort(
                            AmiProtocolError(f"an event came {behind.total_seconds():.1f} s behind a younger one")
                        )
                        return
                    now = self._clock.now()
                    signal = self.translator.signal(event, now)
                    if signal is not None:
                        self._deliver(on_our_clock(signal, now, self._ahead()))
                    elif event.event == "Shutdown":
                        log.warning("asterisk is shutting down", restart=event.get("Restart"))
        finally:
            self._session = None
            if self._in_step:
                self._in_step = False
                self._deliver(LinkLost(at=self._clock.now()))
            if self._life is not None:
                self._life.link_down()

    def _asterisk_died(self) -> None:
        """Nothing is there any more: said at once, not when there is a new Asterisk to ask."""
        self._deliver(Snapshot(at=self._clock.now(), channels=(), devices=(), restarted=True, gone=True))

    async def _take_snapshot(self, session: AmiSession, began: float) -> None:
        asked_at = self._clock.now()
        channels = await session.ask_list(STATUS, deadline=LIST_DEADLINE)
        devices = await session.ask_list(DEVICES, deadline=LIST_DEADLINE)
        now = self._clock.now()
        restarted = was_restarted(self._last_uptime, session.uptime, began)
        self._last_uptime = (session.uptime, began)
        snapshot = snapshot_of(channels, devices, accounts=self.translator.accounts, at=now, restarted=restarted)
        self._deliver(replace(snapshot, asked_at=asked_at))
        self._in_step = True
        log.info(
            "snapshot delivered", channels=len(snapshot.channels), devices=len(snapshot.devices), restarted=restarted
        )
