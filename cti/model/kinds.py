"""The words facts are told in: how calls and offers end, what agents do, and so on. Each is stored as it is written here."""

from __future__ import annotations

from enum import StrEnum


class Direction(StrEnum):
    """Which way a call was set up."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How a call ended. Exactly one a call."""

    ANSWERED = "answered"
    ABANDONED = "abandoned"
    SHORT_ABANDON = "short_abandon"
    CALLBACK = "callback"
    VOICEMAIL = "voicemail"
    OVERFLOW = "overflow"
    REJECTED = "rejected"
    FAILED = "failed"
    SELF_SERVED = "self_served"
    BUSY = "busy"
    """Of a call that an agent made: the far side was busy."""
    NO_ANSWER = "no_answer"
    """As above: it rang and nobody answered, or the agent gave up."""


class OfferEnd(StrEnum):
    """What became of an offer. Exactly one an offer; each releases caller and agent together."""

    ANSWERED = "answered"
    REJECTED = "rejected"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    CALLER_GONE = "caller_gone"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


class AgentState(StrEnum):
    """What an agent is doing, as the floor says it."""

    OFFLINE = "offline"
    NOT_READY = "not_ready"
    READY = "ready"
    RESERVED = "reserved"
    RINGING = "ringing"
    DIALLING = "dialling"
    TALKING = "talking"
    HELD = "held"
    WRAP_UP = "wrap_up"


class Device(StrEnum):
    """Where an agent takes calls."""

    SIP = "sip"
    BROWSER = "browser"
    EXTERNAL = "external"
    """An outside number, over the trunk."""


class HangupBy(StrEnum):
    """Who ended the call."""

    CALLER = "caller"
    AGENT = "agent"
    SYSTEM = "system"


class Match(StrEnum):
    """What the look-up of the caller's number gave."""

    FOUND = "found"
    SEVERAL = "several"
    UNKNOWN = "unknown"
    WITHHELD = "withheld"
    UNAVAILABLE = "unavailable"


class SentBy(StrEnum):
    """What a name is of that sent a caller out: an agent and a supervisor may have the same."""

    NOT_TOLD = ""
    """Nobody; or the fact is older than this."""
    AGENT = "agent"
    SUPERVISOR = "supervisor"
