"""What a centre tells about itself: addresses, numbers, accounts, and whether it can serve calls."""

from __future__ import annotations

from typing import Any

import aiohttp

from cti.certificates import client_context, encrypted, speaks_sip_tls
from cti.model.centre import Centre
from cti.places import Places
from cti.secrets_file import Secrets, secrets_path
from cti.settings import Settings


def describe(settings: Settings, centre: Centre, secrets: Secrets) -> dict[str, Any]:
    """Everything a script needs to use this centre. Holds the generated passwords: print it only to its owner."""
    places = Places(settings)
    host = settings.network.public_address
    url_host = f"[{host}]" if ":" in host else host
    scheme = "https" if encrypted(settings) else "http"
    web = f"{scheme}://{url_host}:{settings.ports.of('web')}"
    sip = f"{url_host}:{settings.ports.of('sip')}"
    state = places.read_state()
    return {
        "name": centre.name,
        "node": settings.node,
        "data": str(settings.data),
        "urls": {
            "web": web,
            "agent": f"{web}/agent",
            "supervisor": f"{web}/supervisor",
            "call": f"{web}/call",
            "api": f"{web}/api/v1",
            "openapi": f"{web}/api/v1/openapi.json",
            "feed": f"ws{web.removeprefix('http')}/api/v1/feed",
            "healthz": f"{web}/healthz",
            "readyz": f"{web}/readyz",
            "metrics": f"{web}/metrics",
        },
        "numbers": [
            {"did": n.did, "title": n.title, "flow": n.flow, "sip_uri": f"sip:{n.did}@{sip}"}
            for n in centre.numbers.values()
        ],
        "sip": {
            "server": sip,
            "transport": "udp",
            "tls_server": f"{url_host}:{settings.ports.of('sip_tls')}" if speaks_sip_tls(settings) else "",
            "ws_url": f"{scheme.replace('http', 'ws')}://{url_host}:{settings.ports.of('ws')}/ws",
        },
        "trunk": {
            "name": settings.trunk.name,
            "server": sip,
            "match": list(settings.trunk.match),
            "authentication": "by source address",
        },
        "agents": [
            {
                "agent_id": agent.agent_id,
                "name": agent.name,
                "queues": list(agent.queues),
                "sip": {"server": sip, "username": agent.agent_id, "password": secrets.sip[agent.agent_id]},
                "browser": {
                    "username": f"{agent.agent_id}-web",
                    **(
                        {"password": secrets.sip[f"{agent.agent_id}-web"]}
                        if settings.sip.browser_secrets == "standing"
                        else {"password_from": f"{web}/api/v1/agent/phone"}
                    ),
                },
                "login": {"username": agent.agent_id, "password": secrets.logins[agent.agent_id]},
            }
            for agent in centre.agents.values()
        ],
        "logins": {
            "file": str(secrets_path(settings.data)),
            "key": "logins",
            "users": [
                {
                    "username": name,
                    "role": _role(centre, name),
                    "password": password,
                }
                for name, password in secrets.logins.items()
            ],
        },
        "files": {
            "centre": str(places.centre),
            "secrets": str(secrets_path(settings.data)),
            "logs": str(places.log),
            "journal": str(places.journal),
            "recordings": str(places.recordings),
            "voicemail": str(places.voicemail),
            "flows": str(places.flows),
            "prompts": str(places.prompts),
        },
        "database": {"url": settings.database.url or state.get("dsn", "")},
        "pids": state.get("pids", {}),
    }


async def ready(settings: Settings, *, seconds: float = 2.0) -> tuple[bool, dict[str, Any]]:
    """Ask the bridge whether calls can be served. False with a reason when it does not answer."""
    host = settings.network.bind
    host = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104 - compared, not bound
    url = f"{'https' if encrypted(settings) else 'http'}://{host}:{settings.ports.of('web')}/readyz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
            session.get(url, ssl=client_context(settings) or True) as response,
        ):
            parts = await response.json()
            return response.status == 200, parts
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return False, {"bridge": f"does not answer at {url}: {type(error).__name__}"}


def _role(centre: Centre, username: str) -> str:
    if username in centre.agents:
        return "agent"
    return "admin" if username == "admin" else "wall" if username in centre.walls else "supervisor"
