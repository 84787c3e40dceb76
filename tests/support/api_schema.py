"""Schemathesis against a running application: what it makes of one operation is sent by everybody, and what was wrong with the
answers is told. `CTI_SCHEMA_TIMES=20`: so many times as many requests as the suite sends."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Protocol

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

try:
    import schemathesis
except ImportError:
    schemathesis = None

ENDS_SESSIONS = ("POST", "/api/v1/logout")
"""Done with a session of its own each time: what it does would be done to the other requests."""
TIMES = int(os.environ.get("CTI_SCHEMA_TIMES", "1"))
SENT: Counter[int] = Counter()
"""Requests that were answered, by status, since `tell_sent`."""
Known = Mapping[str, Sequence[Any]]
"""Name of a parameter, or of a field of a body -> values that mean something to this application."""


class Asked(Protocol):
    """A running application, and a token of each who asks."""

    url: str
    tokens: Mapping[str, str]

    def log_in(self, name: str) -> str:
        """A new session's token."""
        ...


if schemathesis is not None:

    @schemathesis.serializer("audio/wav", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
    def _file(_context: Any, value: Any) -> Any:
        """Files that it does not know: bytes as they were made up."""
        return {"data": value if isinstance(value, bytes) else getattr(value, "data", str(value).encode())}


def tell_sent(operations: int) -> None:
    """Print how many requests it were, and their answers."""
    answers = ", ".join(f"{count} with {status}" for status, count in sorted(SENT.items()))
    print(f"{SENT.total()} requests of {operations} operations: {answers}")
    SENT.clear()


def misread(error: BaseException) -> bool:
    """Schemathesis rewrites `prefixItems` (a list of things of different types) to what JSON Schema 2020 does not have, and
    then complains of it. Our own tests read such answers by their types."""
    return "Invalid Schema Object in response definition" in str(error) and "items -> items" in str(error)


def operations_of(url: str) -> list[Any]:
    """Every operation of the served document."""
    schema = schemathesis.openapi.from_url(f"{url}/api/v1/openapi.json", timeout=60)  # it is made at the first who asks
    return [result.ok() for result in schema.get_all_operations()]


def attack(
    operation: Any, api: Asked, until: float, examples: int, *, known: Known | None = None, away: bool = False
) -> list[str]:
    """Send what schemathesis makes of one operation; what was wrong with the answers. `known`: half of such values are taken
    from here, so that some requests come past the door. `away`: what the application needs is not there, so it may say 5xx."""
    wrong: list[str] = []
    checks = [
        schemathesis.specs.openapi.checks.response_schema_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.status_code_conformance,
    ]
    if not away:
        checks.append(schemathesis.checks.not_a_server_error)

    @settings(
        max_examples=examples * TIMES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), role=st.sampled_from([None, *api.tokens]), lot=st.integers(0, 1_000_000))
    def send(case: Any, role: str | None, lot: int) -> None:
        if time.monotonic() > until or len(wrong) > 2:
            return
        if known:
            _place(case, known, Random(lot))
        alone = (operation.method.upper(), operation.path) == ENDS_SESSIONS
        headers = {}
        if role is not None:
            headers["Authorization"] = f"Bearer {api.log_in(role) if alone else api.tokens[role]}"
        try:
            answer = case.call(base_url=api.url, headers=headers, timeout=20)
            SENT[answer.status_code] += 1
            case.validate_response(answer, checks=checks)
        except (Exception, BaseExceptionGroup) as error:
            told = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
            wrong.extend(f"{operation.label} as {role}: {one}"[:900] for one in told if not misread(one))

    send()
    return wrong


def _place(case: Any, known: Known, chance: Random) -> None:
    """Put values that mean something where the names fit."""
    for part in (case.path_parameters, case.query, case.body):
        if isinstance(part, dict):
            for name in part:
                if name in known and chance.random() < 0.5:
                    part[name] = chance.choice(known[name])
