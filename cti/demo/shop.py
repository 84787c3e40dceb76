"""The demo's shop: a small HTTP service that knows a few orders, so that the order-status line (5004) has somebody to ask.

`python -m cti.demo.shop --port 8099`. Any other shop is put in its place by `services` of the centre file. It answers
`GET /orders?order=4711` with `{"state": "shipped", "total": "129.90", "due": "2026-03-05"}`, or 404 where there is no such order.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from aiohttp import web

HOST = "127.0.0.1"
AGAIN = 5.0
"""Seconds until a port that another program has is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `days`: from today until it is delivered."""

    state: str
    total: Decimal
    days: int


ORDERS: Mapping[str, Order] = {
    "4711": Order(state="shipped", total=Decimal("129.90"), days=2),
    "4712": Order(state="open", total=Decimal("48.50"), days=5),
    "4713": Order(state="shipped", total=Decimal("1250.00"), days=1),
    "4714": Order(state="cancelled", total=Decimal("19.00"), days=0),
}
"""What the shop knows; docs/flows.md names the first two. A state the flow has no words for leads to a person."""


def describe(order: Order, today: date) -> dict[str, str]:
    """An order as the service tells it."""
    return {
        "state": order.state,
        "total": str(order.total),
        "due": (today + timedelta(days=order.days)).isoformat(),
    }


async def _order(request: web.Request) -> web.Response:
    order = ORDERS.get(request.query.get("order", ""))
    if order is None:
        return web.json_response({"error": "unknown_order"}, status=404)
    return web.json_response(describe(order, datetime.now(UTC).date()))


def shop() -> web.Application:
    """The service."""
    app = web.Application(client_max_size=4096)
    app.router.add_get("/orders", _order)
    return app


async def serve(port: int) -> None:
    """Serve until cancelled. While another program has the port, it is tried again and again: a centre is not held up by that."""
    runner = web.AppRunner(shop(), access_log=None)
    await runner.setup()
    try:
        while True:
            try:
                await web.TCPSite(runner, HOST, port).start()
                break
            except OSError as error:
                sys.stderr.write(f"port {port}: {error.strerror or error}; trying again\n")
                await asyncio.sleep(AGAIN)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(prog="cti.demo.shop")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", help="The centre it belongs to; only so that its process can be told from others.")
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
