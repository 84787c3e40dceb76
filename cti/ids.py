"""Typed names for the things of a contact centre. Bare strings live only in adapters."""

from __future__ import annotations

from typing import NewType

CallId = NewType("CallId", str)
"""Identity of one caller's call, for its whole life: the caller channel's unique id (`node-seconds.counter`).

Asterisk's linked id merges on bridging, so it is not an identity; this one is set by the dialplan as the
inherited variable CTI_CALL and works while the bridge is away.
"""

OfferId = NewType("OfferId", int)
"""Number of one offer of one call to one agent: ten decimal digits, strictly rising over the life of an installation."""

AgentId = NewType("AgentId", str)
"""An agent's extension, 2-6 digits, e.g. "1001". It is also the SIP account's name."""

QueueName = NewType("QueueName", str)
"""Short name of a queue, `[a-z][a-z0-9_]*`, e.g. "support"."""

FlowName = NewType("FlowName", str)
CustomerId = NewType("CustomerId", int)
NodeName = NewType("NodeName", str)
ChannelName = NewType("ChannelName", str)
"""Asterisk's channel name, e.g. "PJSIP/1001-00000001". Unique among live channels of one node."""
NO_CHANNEL = ChannelName("")
"""There is none."""
