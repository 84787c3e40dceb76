"""Asking the centre's HTTP services: a deadline, a few tries, and no surprise is bigger than "failed".

Where a request goes is the centre file's word alone: a caller's digits travel as a query value or in a JSON body, never in
the address; redirects are not followed. A service that has failed several times in a row is left alone for a moment, so
that the callers of a broken one do not each wait for its deadline.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import structlog

from cti.clock import Clock, SystemClock
from cti.model.centre import HttpService
from cti.services.ports import Answered

log = structlog.get_logger(__name__)

LARGEST_ANSWER = 64 * 1024
"""Bytes; a longer answer is a failure."""
FAILURES = 5
"""In a row, after which the service is left alone."""
LEFT_ALONE = 5.0
"""Seconds."""

FAILED = Answered(status="failed")
NOT_FOUND = Answered(status="not_found")


class HttpServices:
    """Satisfies `services.ports.Services`. `find` gives the service of a name, None when the centre has none."""

    def __init__(self, find: Callable[[str], HttpService | None], *, clock: Clock | None = None) -> None:
        self._find = find
        self._clock = clock or SystemClock()
        self._session: aiohttp.ClientSession | None = None
        self._failures: dict[str, int] = {}
        self._alone_until: dict[str, float] = {}

    async def ask(self, name: str, values: Mapping[str, str | Decimal | bool], *, key: str) -> Answered:
        """Ask, at most `retries` times more. `key` names this one question (header `Idempotency-Key`). Never raises."""
        service = self._find(name)
        if service is None:
            log.warning("service_unknown", service=name)
            return FAILED
        if self._clock.monotonic() < self._alone_until.get(name, 0.0):
            return FAILED
        answer = FAILED
        for _ in range(1 + service.retries):
            answer = await self._once(service, values, key)
            if answer.status != "failed":
                self._failures.pop(name, None)
                return answer
        self._failures[name] = self._failures.get(name, 0) + 1
        if self._failures[name] >= FAILURES:
            self._alone_until[name] = self._clock.monotonic() + LEFT_ALONE
            self._failures[name] = FAILURES - 1
            log.warning("service_left_alone", service=name, seconds=LEFT_ALONE)
        return answer

    async def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()

    async def _once(self, service: HttpService, values: Mapping[str, str | Decimal | bool], key: str) -> Answered:
        session = self._session
        if session is None:
            session = self._session = aiohttp.ClientSession(
                auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), headers={"Accept-Encoding": "identity"}
            )
        headers = {"Accept": "application/json", "Idempotency-Key": key}
        try:
            if service.token_file:
                token = (await asyncio.to_thread(_read, service.token_file)).strip()
                headers["Authorization"] = f"Bearer {token}"
            sent: dict[str, Any]
            if service.method == "GET":
                sent = {"params": {name: _query(value) for name, value in values.items()}}
            else:
                sent = {"json": {name: _number(value) for name, value in values.items()}}
            async with (
                asyncio.timeout(service.deadline.total_seconds()),
                session.request(
                    service.method, service.url, headers=headers, allow_redirects=False, **sent
                ) as response,
            ):
                if response.status == 404:
                    return NOT_FOUND
                body = await response.content.read(LARGEST_ANSWER + 1)
                while len(body) <= LARGEST_ANSWER and (more := await response.content.read(LARGEST_ANSWER)):
                    body += more
                if not 200 <= response.status < 300 or len(body) > LARGEST_ANSWER:
                    return self._failed(service, f"HTTP {response.status}, {len(body)} bytes")
                return Answered(status="ok", body=orjson.loads(body))
        except TimeoutError:
            return self._failed(service, "deadline")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._failed(service, type(error).__name__)

    def _failed(self, service: HttpService, reason: str) -> Answered:
        log.warning("service_failed", service=service.name, reason=reason)
        return FAILED


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(4096)


def _query(value: str | Decimal | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: str | Decimal | bool) -> str | int | float | bool:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
