"""The live feed: a snapshot, then every change, over a WebSocket.

One task reads the floor's changes and encodes each once per audience (supervisors of all queues together; those of the
same certain queues together; an agent's own part once for all of that agent's pages; the queues once for all other agents). Every client has a bounded queue and a task that
empties it, so a client that reads slowly fills only its own queue; when that is full the client is dropped with 4008
and comes back for a fresh snapshot. Messages of one client are numbered from 1 without a gap. What is one agent's own (a
screen pop) is sent at once; what goes to everybody is sent to a few clients at a time, with the rest of the loop's work in
between, so that two hundred desks that are told of a queue do not hold up the pop of one of them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any, Literal

import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cti.ids import AgentId, OfferId
from cti.services.agent_line import Microphone, Pulse
from cti.services.floor import Change, FloorView
from cti.web.auth.guard import agent_of, session_of
from cti.web.auth.permissions import Role
from cti.web.auth.scopes import cut_of
from cti.web.cuts import EVERYTHING, Cut, Cutter
from cti.web.deps import DEPS, WebDeps
from cti.web.errors import ApiError
from cti.web.feed_client import Client
from cti.web.operations import Operation
from cti.web.views import Mirror, shared
from cti.web.wire import encode

log = structlog.get_logger(__name__)

SLOW = 4008
"""Close code: the client did not read fast enough."""
LOGGED_OUT = 4401
"""Close code: the session has ended."""
TOO_TALKATIVE = 4029
"""Close code: the client sends more than a page has to say."""
HEARTBEAT = 15.0
"""Seconds between the server's pings; no pong within half of it ends the connection."""
CLOSE_SECONDS = 2.0
"""How long a dropped client has to take its close frame before the connection is cut."""
SEND_BUFFER = 128 * 1024
"""Bytes of the kernel's send buffer of a feed. Left to itself it grows to megabytes, and a page that does not read
would be fed stale messages from there for minutes before anybody noticed."""
FOLLOW_SECONDS = 1.0
"""How soon a feed shows other queues after the centre says that its owner has others."""
RESYNC_SECONDS = 0.05
RETRY_SECONDS = 1.0
SENT_AT_ONCE = 8
"""Clients that are sent what goes to everybody, between two turns of the loop's other work: 20 to 30 us each."""
MESSAGES_PER_SECOND = 20.0
MESSAGES_AT_ONCE = 60.0
MOST_CLIENTS = 2000
MOST_PER_SESSION = 20


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Ping(_Message):
    """Asks for a pong, for the page's clock and its sign of life."""

    type: Literal["ping"]


class PopSeen(_Message):
    """The page has drawn the screen pop of this offer."""

    type: Literal["pop_seen"]
    offer_id: int


class Heartbeat(_Message):
    """The page is there, with its microphone and its telephone: see `POST /api/v1/agent/heartbeat`."""

    type: Literal["heartbeat"]
    microphone: Microphone = Microphone.OK
    registered: bool = True
    visible: bool = True


_FROM_CLIENT: TypeAdapter[Ping | PopSeen | Heartbeat] = TypeAdapter(
    Annotated[Ping | PopSeen | Heartbeat, Field(discriminator="type")]
)


class FeedHub:
    """All open feeds, and the one reader of the floor's changes."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._floor = deps.floor
        self._metrics = deps.metrics
        self._clock = deps.clock
        self._mirror: Mirror | None = None
        self._by_cut: dict[Cut, set[Client]] = {}
        self._cutters: dict[Cut, Cutter] = {}
        """Of every cut that is not everything."""
        self._centre = deps.centre
        """Whose word on who has which queues is followed now."""
        self._by_agent: dict[AgentId, set[Client]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._pops_seen: dict[AgentId, OfferId] = {}
        self._asleep: dict[Client, None] = {}
        """Who has something for everybody in the queue that is not being sent yet, in order."""
        self._due = asyncio.Event()
        self.alive = False
        """Whether changes are being read."""

    @property
    def clients(self) -> tuple[Client, ...]:
        """Every open feed."""
        groups = (*self._by_cut.values(), *self._by_agent.values())
        return tuple(client for pages in groups for client in pages)

    async def run(self) -> None:
        """Read the floor's changes for ever. When we fell behind and the floor let us go, start from a new view."""
        while True:
            pause = RESYNC_SECONDS
            changes = self._floor.changes()
            self._mirror = Mirror.of(self._floor.view())
            self._cutters = {cut: self._cutter(cut) for cut in self._by_cut if cut != EVERYTHING}
            self.alive = True
            self._send_snapshots(self.clients)
            try:
                async for change in changes:
                    self._publish(change)
                    await asyncio.sleep(0)  # a burst must not fill the queues of clients that do read
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("reading the floor's changes failed")
                pause = RETRY_SECONDS
            finally:
                self.alive = False
            self._metrics.feed_resyncs.inc()
            await asyncio.sleep(pause)

    async def send_in_turn(self) -> None:
        """Have sent what goes to everybody, a few clients at a time, for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            while self._asleep:
                for client in tuple(islice(self._asleep, SENT_AT_ONCE)):
                    del self._asleep[client]
                    try:
                        client.flush()
                    except Exception:  # one client's trouble must not end the feed of all
                        log.exception("sending to a feed failed")
                await asyncio.sleep(0)

    def _tell_all(self, clients: Iterable[Client], content: bytes) -> list[Client]:
        """Queue what goes to everybody; gives those whose queue is full."""
        slow = []
        for client in clients:
            if client.number(b"delta", b"change", content, at_once=False):
                self._asleep[client] = None
            else:
                slow.append(client)
        self._due.set()
        return slow

    def _view(self) -> Mirror:
        return self._mirror if self._mirror is not None else Mirror.of(self._floor.view())

    def _cutter(self, cut: Cut) -> Cutter:
        return Cutter(cut, self._view(), self._deps.centre_of)

    def _snapshot(self, client: Client) -> FloorView:
        """What that feed begins with."""
        now = self._clock.now()
        if client.audience is not None:
            return self._view().view_of(client.audience, now)
        return self._view().view(now) if client.cut == EVERYTHING else self._cutters[client.cut].view(now)

    def _send_snapshots(self, clients: Iterable[Client]) -> None:
        """Each audience's is encoded once."""
        made: dict[AgentId | Cut, bytes] = {}
        for client in clients:
            audience = client.cut if client.audience is None else client.audience
            if audience not in made:
                made[audience] = encode(self._snapshot(client))
            if not client.number(b"snapshot", b"view", made[audience]):
                self.drop(client, SLOW, b"too slow")

    def join(self, client: Client) -> None:
        """Add a feed: it gets its snapshot, then every change after it."""
        self._place(client)
        self._metrics.feed_clients.inc()
        self._send_snapshots((client,))

    def _place(self, client: Client) -> None:
        if client.audience is not None:
            self._by_agent.setdefault(client.audience, set()).add(client)
            return
        if client.cut not in self._by_cut and client.cut != EVERYTHING:
            self._cutters[client.cut] = self._cutter(client.cut)
        self._by_cut.setdefault(client.cut, set()).add(client)

    def _take_out(self, client: Client) -> bool:
        if client.audience is not None:
            pages = self._by_agent.get(client.audience, set())
        else:
            pages = self._by_cut.get(client.cut, set())
        if client not in pages:
            return False
        pages.discard(client)
        if pages:
            return True
        if client.audience is not None:
            del self._by_agent[client.audience]
        else:
            del self._by_cut[client.cut]
            self._cutters.pop(client.cut, None)
        return True

    def leave(self, client: Client) -> bool:
        """Take a feed out; False when it was out already."""
        if not self._take_out(client):
            return False
        self._asleep.pop(client, None)
        self._metrics.feed_clients.dec()
        return True

    def follow_centre(self) -> None:
        """Where the centre gives somebody other queues than before, their feeds begin anew with these."""
        centre = self._deps.centre
        if centre is self._centre:
            return
        self._centre = centre
        others = [client for client in self.clients if client.audience is None]
        moved = []
        for client in others:
            # The account as it is now: the centre's file may have named it since this page was opened.
            account = self._deps.accounts.get(client.session.account.username) or client.session.account
            cut = cut_of(replace(client.session, account=account), centre)
            if cut != client.cut:
                self._take_out(client)
                client.cut = cut
                self._place(client)
                moved.append(client)
        self._send_snapshots(moved)

    async def keep_following(self) -> None:
        """The same, for ever."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            self.follow_centre()

    def drop(self, client: Client, code: int, why: bytes) -> None:
        """Close a feed from our side, without waiting for it."""
        if not self.leave(client):
            return
        self._metrics.feed_drops.labels(code=str(code)).inc()
        if client.writer is not None:
            client.writer.cancel()
        client.closing = asyncio.create_task(self._close(client, code, why), name="feed-close")
        self._closing.add(client.closing)
        client.closing.add_done_callback(self._closing.discard)

    async def _close(self, client: Client, code: int, why: bytes) -> None:
        transport = client.transport
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.ws.close(code=code, message=why, drain=False)
                # The close frame stands behind all that the client has not read yet; asyncio tells no event for that.
                while transport is not None and transport.get_write_buffer_size():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        except (TimeoutError, ConnectionError):
            if transport is not None:
                transport.abort()

    def end_session(self, nonce: str) -> None:
        """Close the feeds of a session that was logged out, and end what its telephone signs on by."""
        if self._deps.phone_secrets is not None:
            self._deps.phone_secrets.ended(nonce)
        for client in self.clients:
            if client.session.nonce == nonce:
                self.drop(client, LOGGED_OUT, b"logged out")

    def _publish(self, change: Change) -> None:
        mirror = self._mirror
        if mirror is None:  # only before the first view
            return
        self.follow_centre()  # before the change: it must not reach whom it concerns no more
        personal = mirror.apply(change)
        self._metrics.feed_changes.inc()
        slow: list[Client] = []
        if self._by_agent:
            for agent_id in personal.keys() & self._by_agent.keys():
                content = encode(personal[agent_id])
                pages = self._by_agent[agent_id]
                slow += [client for client in pages if not client.number(b"delta", b"change", content)]
            common = shared(change)
            if common is not None:
                others = (
                    client for agent, pages in self._by_agent.items() if agent not in personal for client in pages
                )
                slow += self._tell_all(others, encode(common))
        for cut, pages in self._by_cut.items():
            part = change if cut == EVERYTHING else self._cutters[cut].change(change)
            if part is not None:
                slow += self._tell_all(pages, encode(part))
        for client in slow:
            self.drop(client, SLOW, b"too slow")
        for agent_id in change.agents_gone:
            for client in tuple(self._by_agent.get(agent_id, ())):
                self.drop(client, LOGGED_OUT, b"no agent of this centre any more")

    def pop_seen(self, agent_id: AgentId, offer_id: OfferId) -> None:
        """An agent's page has drawn the screen pop: measure how long after the offer, once an offer."""
        mirror = self._mirror
        pop = mirror.pops.get(agent_id) if mirror is not None else None
        if pop is None or pop.offer_id != offer_id or self._pops_seen.get(agent_id) == offer_id:
            return
        self._pops_seen[agent_id] = offer_id
        seconds = (self._clock.now() - pop.offered_at) / timedelta(seconds=1)
        self._metrics.pop_latency.observe(max(0.0, seconds))

    async def close(self) -> None:
        """Close every feed because the server stops; the pages come back by themselves."""
        for client in self.clients:
            self.drop(client, WSCloseCode.GOING_AWAY, b"server stops")
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_SECONDS + 1)


HUB = web.AppKey("feed_hub", FeedHub)


async def run_hub(app: web.Application) -> AsyncIterator[None]:
    """The hub's task lives as long as the application."""
    hub = app[HUB]
    tasks = [
        asyncio.create_task(hub.run(), name="feed"),
        asyncio.create_task(hub.send_in_turn(), name="feed-send"),
        asyncio.create_task(hub.keep_following(), name="feed-follow"),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def close_feeds(app: web.Application) -> None:
    """At the server's stop, before it waits for open requests."""
    await app[HUB].close()


class _Budget:
    """How much a client may still say: refills with time."""

    def __init__(self, now: float) -> None:
        self._left = MESSAGES_AT_ONCE
        self._at = now

    def take(self, now: float) -> bool:
        self._left = min(MESSAGES_AT_ONCE, self._left + (now - self._at) * MESSAGES_PER_SECOND)
        self._at = now
        self._left -= 1
        return self._left >= 0


async def _listen(client: Client, hub: FeedHub, deps: WebDeps, page_of: AgentId | None) -> None:
    budget = _Budget(deps.clock.monotonic())
    async for message in client.ws:
        if not budget.take(deps.clock.monotonic()):
            hub.drop(client, TOO_TALKATIVE, b"too many messages")
            return
        if message.type is not WSMsgType.TEXT:
            hub.drop(client, WSCloseCode.UNSUPPORTED_DATA, b"text only")
            return
        try:
            said = _FROM_CLIENT.validate_json(message.data)
        except ValidationError:
            answer: dict[str, Any] = {
                "type": "error",
                "error": {
                    "id": "invalid_message",
                    "message": "this message means nothing here",
                    "remedy": 'send {"type":"ping"} or {"type":"pop_seen","offer_id":...}',
                },
            }
            taken = client.say(encode(answer))
        else:
            taken = True
            if isinstance(said, Ping):
                taken = client.say(encode({"type": "pong", "at": deps.clock.now()}))
            elif page_of is not None and isinstance(said, PopSeen):
                hub.pop_seen(page_of, OfferId(said.offer_id))
            elif page_of is not None and isinstance(said, Heartbeat):
                pulse = Pulse(microphone=said.microphone, registered=said.registered, visible=said.visible)
                deps.line.pulse(page_of, pulse)
        if not taken:
            hub.drop(client, SLOW, b"too slow")
            return


async def feed(request: web.Request) -> web.StreamResponse:
    """Open a feed."""
    deps, hub, session = request.app[DEPS], request.app[HUB], session_of(request)
    audience = agent_of(request) if session.account.role is Role.AGENT else None
    # A program with a token looks on: an agent is there when a page is.
    page_of = audience if session.token is None else None
    clients = hub.clients
    mine = sum(client.session.nonce == session.nonce for client in clients)
    if len(clients) >= MOST_CLIENTS or mine >= MOST_PER_SESSION:
        raise ApiError(503, "too_many_feeds", "too many feeds are open", remedy="close pages that are not needed")
    ws = web.WebSocketResponse(
        heartbeat=HEARTBEAT, compress=False, max_msg_size=4096, timeout=CLOSE_SECONDS, writer_limit=32 * 1024
    )
    if not ws.can_prepare(request):
        raise ApiError(
            426,
            "upgrade_required",
            "this address is a WebSocket",
            remedy="open it as a WebSocket",
            headers={hdrs.UPGRADE: "websocket"},
        )
    await ws.prepare(request)
    client = Client(
        ws,
        session=session,
        audience=audience,
        most=deps.feed_queue,
        most_bytes=deps.feed_queue_bytes,
        cut=cut_of(session, deps.centre),
    )
    client.transport = request.transport
    plain = request.get_extra_info("socket")
    if plain is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    client.writer = asyncio.create_task(client.write(), name="feed-write")
    left = (session.expires - deps.clock.now()) / timedelta(seconds=1)
    ends = asyncio.get_running_loop().call_later(max(0.0, left), hub.drop, client, LOGGED_OUT, b"log-in ended")
    if page_of is not None:
        deps.floor.page(page_of, connected=True)
    try:
        hub.join(client)
        await _listen(client, hub, deps, page_of)
    finally:
        ends.cancel()
        hub.leave(client)
        if page_of is not None:
            deps.floor.page(page_of, connected=False)
        client.writer.cancel()
        await asyncio.gather(client.writer, return_exceptions=True)
        if client.closing is not None:  # returning now would cut the connection before the close frame is out
            await asyncio.wait({client.closing})
    return ws


class FeedSnapshot(BaseModel):
    """The first message, and again whenever the server started over: everything this audience may see."""

    model_config = ConfigDict(defer_build=True)  # for the API's document: built when that is asked for

    type: Literal["snapshot"]
    seq: int
    view: FloorView


class FeedDelta(BaseModel):
    """What changed at once."""

    model_config = ConfigDict(defer_build=True)

    type: Literal["delta"]
    seq: int
    change: Change


OPERATIONS = (
    Operation(
        name="feed",
        method=hdrs.METH_GET,
        path="/api/v1/feed",
        handler=feed,
        summary="WebSocket: a snapshot, then every change. Close codes: 4008 too slow, 4401 logged out, 4029 too many messages",
        answer=FeedSnapshot | FeedDelta,
        upgrade=True,
        errors={426: "upgrade_required", 503: "too_many_feeds"},
    ),
)
