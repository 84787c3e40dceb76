"""What a port of the web server bears, and what is to be done when it bore no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """What a port bears. Those of an address are for whole offices behind one: two hundred browsers that come at once."""

    most: int = 4000
    """Connections in all."""
    most_of_address: int = 1000
    strangers: int = 512
    """Connections that have not said yet what they want, in all."""
    strangers_of_address: int = 128
    grace_seconds: float = 2.0
    """So long a stranger is not sent away for their number: a whole office opens its pages at once when the server was restarted."""
    handshake_seconds: float = 10.0
    """For a TLS handshake, from the connection on."""
    head_seconds: float = 10.0
    """For a whole request, but for its body; the first from the connection on, or from the end of its TLS handshake."""
    idle_seconds: float = 75.0
    """Between two requests."""
    stuck_seconds: float = 30.0
    """Who takes nothing at all of an answer for so long is cut off. Who takes it slowly is not."""
    feed_bytes: int = 16 * 1024
    """What may be sent in one second on a feed; twice as much at once: a page has a few hundred to say."""


REMEDIES = {
    "full": "more connections than this machine is meant for: find out who opens them, or put a proxy in front",
    "full_of_address": "one address holds very many connections: close what is not needed there, or block the address",
    "crowded": "nothing to do: quiet connections made room for new ones",
    "strangers": "nothing to do unless pages cannot be reached: then block the addresses that flood",
    "bad_request": "nothing to do: somebody sent what is no HTTP",
    "head_late": "nothing to do: somebody began and did not say what they want",
    "not_reading": "nothing to do: somebody took nothing of what they asked for",
    "talkative": "nothing to do: somebody sent more than a page ever does",
    "no_files": "raise the limit of open files (LimitNOFILE, ulimit -n)",
    "handshake": "nothing to do: somebody does not speak TLS, or not to the end",
}
"""What to do, by why a connection was ended or not begun."""
