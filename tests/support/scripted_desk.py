"""The agent's page in Chromium over a server that the test plays: the built pages as they ship, their policy, and nothing
behind them but rows, answers and SIP messages written by the test.

For what belongs to the page alone: every state of a call in a moment, without a telephone system. Sound is real: what
rings is a WebRTC peer in the same page, so calls are answered, muted, held and measured as on a line. What the server
and the telephone system really do is proved by the tests on a whole centre.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Route, WebSocketRoute, async_playwright

from cti.web.security import content_security_policy

STATIC = Path(__file__).resolve().parents[2] / "cti" / "web" / "static"
ORIGIN = "http://localhost:8080"
PHONE_WS = "ws://localhost:8088/ws"
NUMBER = "+15550100001"
CARD: dict[str, Any] = {
    "customer_id": 8, "name": "Luis Fernández", "tier": "gold", "language": "en", "phones": [NUMBER],
    "company": "Café Central", "notes": "Orders every Thursday.",
    "contacts": [
        {"at": "2026-11-20T10:02:00Z", "queue": "support", "outcome": "answered", "agent": "1003", "note": "Sent again."}
    ],
}  # fmt: skip

CONTACTS: dict[str, Any] = {
    "contacts": [
        {
            "call_id": f"old-{number}", "at": f"2026-11-{20 - number}T10:0{number}:00Z", "direction": "inbound",
            "queue": "support", "outcome": outcome, "agent": "1003", "number": NUMBER, "disposition": "resolved",
            "note": note, "wait_seconds": 21.0, "talk_seconds": 184.0, "recording": "",
        }
        for number, (outcome, note) in enumerate(
            (("answered", "Sent the invoice again."), ("abandoned", ""), ("answered", "Wants a call after the renewal."))
        )
    ],
    "next_before": None,
}  # fmt: skip


def whole(customer_id: int, name: str = "Luis Fernández") -> dict[str, Any]:
    """A customer as the customer file has them."""
    return {
        "customer_id": customer_id, "version": 3, "kind": "person", "name": name, "reference": "K-4711", "tier": "gold",
        "tier_source": "rule", "tier_reason": "12 orders in a year", "language": "en", "time_zone": "Europe/Madrid",
        "company": "Café Central", "company_id": None, "email": "luis@cafe-central.example", "own_agent": "1001",
        "notes": "Orders every Thursday.", "tags": ["wholesale", "early"], "fields": {"contract": "A-17"},
        "phones": [
            {"number": NUMBER, "raw": "+1 555 010 0001", "label": "mobile"},
            {"number": "+15550100777", "raw": "555-010-0777", "label": "shop"},
        ],
        "addresses": [
            {
                "label": "shop", "street": "Calle Mayor 3", "city": "Madrid", "region": "", "postal_code": "28013",
                "country": "ES",
            }
        ],
        "consents": [
            {"channel": "recording", "status": "granted", "at": "2026-03-01T09:00:00Z", "how": "call", "by": "1003"}
        ],
        "do_not_call": False, "created_at": "2024-05-02T08:00:00Z", "changed_at": "2026-11-01T08:00:00Z",
        "merged_from": [],
    }  # fmt: skip


TASKS: list[dict[str, Any]] = [
    {
        "work_id": f"t-{number}", "kind": kind, "state": "open", "title": title, "detail": detail, "customer_id": 8,
        "customer_name": who, "tier": "gold", "number": NUMBER, "language": "en",
        "complaint_id": 3 if kind == "complaint" else None, "follow_up_id": None, "recording": None, "queue": "support",
        "owner": owner, "created_at": "2026-11-20T10:00:00Z", "due_at": due, "snoozed_until": None, "overdue": overdue,
        "urgency": 3 if overdue else 1, "may_finish": owner is not None,
    }
    for number, (kind, title, detail, who, owner, due, overdue) in enumerate(
        (
            ("complaint", "Delivered too late", "", "Luis Fernández", "1001", "2026-11-21T09:00:00Z", True),
            ("voicemail", "Asks to be called", "0:42", "Mei Tanaka", None, "2099-01-01T09:00:00Z", False),
        )
    )
]  # fmt: skip

COMPLAINTS: list[dict[str, Any]] = [
    {
        "complaint_id": 3, "revision": 1, "source": "line", "customer_id": 8, "customer_name": "Luis Fernández",
        "tier": "gold", "number": NUMBER, "language": "en", "subject": "Delivered too late, for the second time this month",
        "cause": "delivery/late", "severity": "high", "state": "in_progress", "owner": "1003", "queue": "support",
        "opened_at": "2026-11-20T10:00:00Z", "due_at": "2026-11-21T09:00:00Z", "overdue": True, "escalation": 0,
        "verdict": None, "closed_at": None,
    }
]  # fmt: skip
FOLLOW_UPS: list[dict[str, Any]] = [
    {
        "follow_up_id": 5, "plan_id": 1, "plan": "A week after a purchase", "customer_id": 8,
        "customer_name": "Luis Fernández", "company": "Café Central", "tier": "gold", "language": "en", "number": NUMBER,
        "occasion": "purchase:9", "complaint_id": None, "state": "due", "owner": None, "queue": None,
        "due_at": "2099-01-01T09:00:00Z", "attempts": 1, "outcome": "no_answer", "ended_at": None, "note": "",
        "answers": {},
    }
]  # fmt: skip

SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)

PEER = r"""
(() => {
  let peer;
  const gathered = () =>
    new Promise((done) => {
      if (peer.iceGatheringState === "complete") done();
      setTimeout(done, 300);
      peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done());
    });
  window.__peer = {
    async offer() {
      peer?.close();
      peer = new RTCPeerConnection();
      const sound = new AudioContext();
      const tone = sound.createOscillator();
      const out = sound.createMediaStreamDestination();
      tone.frequency.value = 620;
      tone.connect(out);
      tone.__far = true;
      tone.start();
      for (const track of out.stream.getTracks()) peer.addTrack(track, out.stream);
      peer.ontrack = (event) => {
        // What nobody plays the browser does not decode.
        const player = new Audio();
        player.srcObject = event.streams[0] ?? new MediaStream([event.track]);
        player.muted = true;
        void player.play();
        window.__peer.meter = sound.createAnalyser();
        sound.createMediaStreamSource(player.srcObject).connect(window.__peer.meter);
      };
      await peer.setLocalDescription(await peer.createOffer());
      await gathered();
      return peer.localDescription.sdp;
    },
    answer: (sdp) => peer.setRemoteDescription({ type: "answer", sdp }),
    async again(sdp) {
      await peer.setRemoteDescription({ type: "offer", sdp });
      await peer.setLocalDescription(await peer.createAnswer());
      return peer.localDescription.sdp;
    },
    connected: () => peer?.connectionState,
    level() {
      const samples = new Float32Array(2048);
      window.__peer.meter?.getFloatTimeDomainData(samples);
      return Math.max(...samples.map(Math.abs));
    },
  };
  // Beeps are just what noise suppression takes away.
  localStorage.setItem("cti.voice", "raw");
  window.__told = [];
  window.__rang = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...given) {
    if (!this.__far) window.__rang += 1;
    start.apply(this, given);
  };
  const Shown = window.Notification;
  window.Notification = class extends EventTarget {
    static permission = "granted";
    static requestPermission = async () => "granted";
    constructor(title, options) {
      super();
      window.__told.push({ title, ...options, open: true });
      this.mine = window.__told.at(-1);
    }
    close() { this.mine.open = false; }
  };
  void Shown;
  document.addEventListener("securitypolicyviolation", (event) =>
    (window.__violations ??= []).push(`${event.violatedDirective} ${event.blockedURI}`), true);
})();
"""


def ago(seconds: float = 0) -> str:
    """A moment before now, as the API writes it."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def queue_row(name: str, en: str, zh: str, **fields: Any) -> dict[str, Any]:
    """A quiet queue."""
    return {
        "queue": name, "title": {"en": en, "zh": zh}, "waiting": 0, "longest_since": None, "agents_ready": 3,
        "agents_busy": 2, "agents_logged_in": 5, "answered_today": 40, "abandoned_today": 2, "in_time_today": 38,
        "service_level": 0.9, "target_seconds": 20, "expected_wait": None, "open": True, **fields,
    }  # fmt: skip


def party(party_id: str, **fields: Any) -> dict[str, Any]:
    """Somebody on the line; "caller" is the caller."""
    return {
        "party": party_id, "kind": "caller", "agent_id": None, "name": CARD["name"], "number": NUMBER, "state": "talking",
        "since": ago(), **fields,
    }  # fmt: skip


class SipLine:
    """The telephone system as one page's phone sees it."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._socket: WebSocketRoute | None = None
        self.registered = asyncio.Event()
        self.refuse_register = False
        self.requests: list[str] = []
        """Methods of the requests the page sent, in order."""
        self._contact = ""
        self._call = 0
        self._headers: dict[str, str] = {}
        self._to_tag = ""
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()

    def connect(self, socket: WebSocketRoute) -> None:
        """The page's phone opens its way here."""
        self._socket = socket
        socket.on_message(lambda message: self._hear(str(message)))

    def cut(self) -> None:
        """The way to the telephone system breaks."""
        self.registered.clear()
        if self._socket is not None:
            socket, self._socket = self._socket, None
            asyncio.get_running_loop().create_task(socket.close())

    def _hear(self, text: str) -> None:
        if text.strip():
            asyncio.get_running_loop().create_task(self._answer_to(text))

    async def _answer_to(self, text: str) -> None:
        head, _, body = text.partition("\r\n\r\n")
        first = head.split("\r\n", 1)[0]
        if first.startswith("SIP/2.0"):
            status = int(first.split(" ")[1])
            if "INVITE" in header(head, "CSeq") and status == 200:
                self._to_tag = header(head, "To")
                await self._page.evaluate("(sdp) => window.__peer.answer(sdp)", body)
                self._request("ACK", to=self._to_tag)
                self.answered.set()
            elif "INVITE" in header(head, "CSeq") and status >= 300:
                self._request("ACK", to=header(head, "To"))
                self.ended.set()
            return
        method = first.split(" ")[0]
        self.requests.append(method)
        if method == "REGISTER":
            if self.refuse_register:
                self._reply(head, 403, "Forbidden")
                return
            self._contact = re.search(r"<([^>]+)>", header(head, "Contact"))[1]  # type: ignore[index]
            self._reply(head, 200, "OK", f"Contact: {header(head, 'Contact')};expires=120\r\n")
            self.registered.set()
        elif method == "INVITE":
            sdp = await self._page.evaluate("(sdp) => window.__peer.again(sdp)", body)
            self._reply(head, 200, "OK", "Contact: <sip:far@centre.test;transport=ws>\r\n", sdp)
        elif method != "ACK":
            self._reply(head, 200, "OK")
            if method == "BYE":
                self.ended.set()

    def _send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.send(text)

    def _reply(self, head: str, status: int, word: str, more: str = "", body: str = "") -> None:
        to = header(head, "To")
        if ";tag=" not in to:
            to += ";tag=server"
        kind = "Content-Type: application/sdp\r\n" if body else ""
        vias = "".join(f"Via: {via}\r\n" for via in re.findall(r"(?mi)^Via:\s*(.*?)\s*$", head))
        self._send(
            f"SIP/2.0 {status} {word}\r\n{vias}From: {header(head, 'From')}\r\nTo: {to}\r\n"
            f"Call-ID: {header(head, 'Call-ID')}\r\nCSeq: {header(head, 'CSeq')}\r\n{more}{kind}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        )

    def _request(self, method: str, *, to: str, body: str = "", sequence: int = 1) -> None:
        extra = "".join(f"{name}: {value}\r\n" for name, value in self._headers.items()) if method == "INVITE" else ""
        kind = "Content-Type: application/sdp\r\n" if body else ""
        branch = f"z9hG4bK{self._call}" + ("" if method in ("INVITE", "CANCEL") else f"{method}{sequence}")
        self._send(
            f"{method} {self._contact} SIP/2.0\r\nVia: SIP/2.0/WS centre.test;branch={branch}\r\nMax-Forwards: 70\r\n"
            f'From: "Far" <sip:{NUMBER}@centre.test>;tag=far{self._call}\r\nTo: {to}\r\nCall-ID: call-{self._call}\r\n'
            f"CSeq: {sequence} {method}\r\nContact: <sip:far@centre.test;transport=ws>\r\n{extra}{kind}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        )

    async def ring(self, **headers: str) -> None:
        """Call the page's phone; `X_CTI_Offer="7"` becomes the header X-CTI-Offer."""
        async with asyncio.timeout(60):
            await self.registered.wait()
        self._call += 1
        self.answered.clear()
        self.ended.clear()
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        sdp = await self._page.evaluate("() => window.__peer.offer()")
        self._request("INVITE", to="<sip:1001-web@centre.test>", body=sdp)

    def cancel(self) -> None:
        """Stop ringing."""
        self._request("CANCEL", to="<sip:1001-web@centre.test>")

    def bye(self) -> None:
        """The far end hangs up."""
        self._request("BYE", to=self._to_tag, sequence=2)


def header(head: str, name: str) -> str:
    """The first header of this name."""
    found = re.search(rf"(?mi)^{name}:\s*(.*?)\s*$", head)
    return found[1] if found else ""


class ScriptedDesk:
    """One agent's page and the server behind it, played by the test."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self.page: Page
        self.line: SipLine
        self.said: list[str] = []
        """What went to the browser's console as an error or warning, and uncaught errors."""
        self.asked: list[tuple[str, Any]] = []
        """Requests that change something: path below /api/v1 and body, in order."""
        self.answers: dict[str, tuple[int, Any]] = {}
        """Answers by path below /api/v1, where they are not the usual ones."""
        self.on_ask: Callable[[str, Any], None] | None = None
        self.queues = {
            "support": queue_row("support", "Support", "技术支持", waiting=2, longest_since=ago(74)),
            "sales": queue_row("sales", "Sales", "销售"),
        }
        self.row: dict[str, Any] = {
            "agent_id": "1001", "name": "Ada Park", "state": "not_ready", "reason": "break", "since": ago(751),
            "device": "browser", "reachable": {"sip": False, "browser": True}, "page_connected": True,
            "queues": ["support", "sales"], "call_id": None, "calls_today": 23, "talk_seconds_today": 5750.0,
            "wrap_up_until": None, "not_ready_until": None, "paused_until": None,
        }  # fmt: skip
        self.desks: dict[str, Any] = {}
        """What belongs to queues on the desk."""
        self.call: dict[str, Any] | None = None
        self.pop: dict[str, Any] | None = None
        self.talk: dict[str, Any] | None = None
        self.destinations: dict[str, Any] = {
            "agents": [
                {"agent_id": "1002", "name": "Bo Lindqvist", "state": "ready", "reason": ""},
                {"agent_id": "1003", "name": "Chidi Eze", "state": "talking", "reason": ""},
                {"agent_id": "1004", "name": "陈晓雨", "state": "not_ready", "reason": "lunch"},
                {"agent_id": "1005", "name": "Dora Weiss", "state": "offline", "reason": ""},
            ],
            "queues": [
                {"queue": "support", "title": {"en": "Support", "zh": "技术支持"}, "waiting": 2, "agents_ready": 3},
                {"queue": "sales", "title": {"en": "Sales", "zh": "销售"}, "waiting": 0, "agents_ready": 1},
            ],
            "flows": [{"flow": "survey", "title": "Survey"}],
            "numbers": [{"name": "Warehouse", "number": "+15550107000"}],
            "caller_ids": ["+15550105000", "+15550105001"],
        }  # fmt: skip
        usual = {"queue": "support", "choice": "Support > Orders", "ringing": False}
        self.waiting: list[dict[str, Any]] = [
            {
                **usual, "call_id": "w-1", "number": "+15550100009", "customer_name": "Mei Tanaka", "tier": "vip",
                "queued_at": ago(74), "place": 1,
            },
            {
                **usual, "call_id": "w-2", "number": None, "customer_name": "", "tier": "", "queued_at": ago(12),
                "place": 2,
            },
        ]  # fmt: skip
        self._feeds: list[WebSocketRoute] = []
        self._seq = 0
        self.online = True
        """False: neither the API nor the feed can be reached."""

    async def open(self, *, language: str = "en", page: Page | None = None) -> None:
        """Open /agent."""
        self.page = page or await self._context.new_page()
        self.line = SipLine(self.page)
        self.page.on(
            "console", lambda m: self.said.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))
        await self.page.add_init_script(f"localStorage.setItem('cti.language', '{language}')")
        await self.page.route("**/*", self._serve)
        await self.page.route_web_socket(re.compile("/api/v1/feed$"), self._feed)
        await self.page.route_web_socket(PHONE_WS, lambda socket: self.line.connect(socket))
        await self.page.goto(f"{ORIGIN}/agent")
        await self.page.get_by_test_id("agent-name").wait_for()

    async def _serve(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).split("?")[0]
        if path.startswith("/api/v1/"):
            await self._api(route, path.removeprefix("/api/v1"))
            return
        file = STATIC / ("agent.html" if path == "/agent" else path.lstrip("/"))
        if not file.is_file():
            await route.fulfill(status=404)
            return
        policy = content_security_policy(phone_ws=PHONE_WS, origins=frozenset({ORIGIN}))
        await route.fulfill(
            body=file.read_bytes(),
            headers={
                "Content-Type": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
                "Content-Security-Policy": policy,
            },
        )

    async def _api(self, route: Route, path: str) -> None:
        if not self.online:
            await route.abort()
            return
        body = route.request.post_data_json if route.request.method == "POST" else None
        if route.request.method == "POST":
            self.asked.append((path, body))
            if self.on_ask is not None:
                self.on_ask(path, body)
        status, answer = self.answers.get(path, (200, self._usual(path)))
        await route.fulfill(status=status, body=json.dumps(answer), content_type="application/json")

    def _usual(self, path: str) -> Any:
        match path:
            case "/me":
                user = {"username": "1001", "role": "agent", "agent_id": "1001", "name": "Ada Park", "language": "en"}
                return {"user": user}
            case "/agent":
                return {
                    "agent": self.row, "call": self.call, "pop": self.pop, "reasons": ["break", "lunch", "meeting"],
                    "dispositions": {"support": ["resolved", "follow_up", "wrong_number", "other"]}, "desks": self.desks,
                }  # fmt: skip
            case "/centre":
                return {"name": "Harbour Services", "languages": ["en", "zh"], "numbers": []}
            case "/agent/phone":
                return {
                    "ws_url": PHONE_WS, "uri": "sip:1001-web@centre.test", "username": "1001-web", "password": "x",
                    "display_name": "Ada",
                }  # fmt: skip
            case "/agent/destinations":
                return self.destinations
            case "/tasks":
                return {"tasks": TASKS}
            case "/calls/c-1/recording":
                return {
                    "call_id": "c-1", "live": True, "recording": True, "paused": False, "paused_until": None, "on_demand": False,
                    "page_token": "",
                }  # fmt: skip
            case "/complaints":
                return {"complaints": COMPLAINTS, "counts": {}, "next_before": None}
            case "/follow-ups":
                return {"follow_ups": FOLLOW_UPS}
            case "/tasks/counts":
                return {"kinds": {"voicemail": 1, "complaint": 1}, "mine": 1, "free": 1, "overdue": 1}
            case "/agent/waiting":
                return {"calls": self.waiting}
            case "/customers/fields":
                return {"fields": [{"name": "contract", "title": "Contract", "kind": "text", "choices": []}]}
            case "/customers":
                return {"customers": [{**whole(9, "Marta Fernández"), "phones": [NUMBER]}]}
            case _ if found := re.fullmatch(r"/customers/(\d+)(/contacts)?", path):
                return CONTACTS if found[2] else whole(int(found[1]))
            case _:
                return {}

    # -- the feed

    def _view(self) -> dict[str, Any]:
        return {
            "at": ago(), "queues": self.queues, "agents": {"1001": self.row},
            "calls": {self.call["call_id"]: self.call} if self.call else {},
            "pops": {"1001": self.pop} if self.pop else {}, "talks": {"1001": self.talk},
            "link": {"connected": True, "unknown_since": None},
        }  # fmt: skip

    def _feed(self, socket: WebSocketRoute) -> None:
        if not self.online:
            asyncio.get_running_loop().create_task(socket.close())
            return
        self._feeds.append(socket)
        socket.on_message(lambda message: self._feed_asked(socket, json.loads(str(message))))
        self._seq = 1
        socket.send(json.dumps({"type": "snapshot", "seq": 1, "view": self._view()}))

    def _feed_asked(self, socket: WebSocketRoute, message: dict[str, Any]) -> None:
        if message["type"] == "ping":
            socket.send(json.dumps({"type": "pong", "at": ago()}))

    def tell(self, **change: Any) -> None:
        """Send a change over the feed."""
        self._seq += 1
        if self._feeds:
            self._feeds[-1].send(json.dumps({"type": "delta", "seq": self._seq, "change": change}))

    def cut(self) -> None:
        """The network between the page and everything is gone."""
        self.online = False
        feeds, self._feeds = self._feeds, []
        for feed in feeds:
            asyncio.get_running_loop().create_task(feed.close())
        self.line.cut()

    def mend(self) -> None:
        """The network is there again."""
        self.online = True

    # -- the floor

    def set_row(self, **fields: Any) -> None:
        """Change the agent's row, `since` now."""
        self.row = {**self.row, "since": ago(), **fields}
        self.tell(agents={"1001": self.row})

    def ready(self) -> None:
        """The agent is ready."""
        self.set_row(state="ready", reason="")

    def offer(self, number: str | None = NUMBER, *, offer: int = 7, **fields: Any) -> None:
        """A call is offered: its pop comes to the page."""
        self.call = {
            "call_id": "c-1", "state": "offered", "since": ago(), "started_at": ago(110), "caller_number": number,
            "did": "5000", "language": "en", "customer_name": "", "tier": "gold", "queue": "support",
            "queued_at": ago(102), "place": None, "head_start": 0, "skills": [], "why_waiting": "",
            "choice": "Support > Orders", "agent_id": "1001", "answered_at": None,
        }  # fmt: skip
        self.pop = {
            "version": 1, "offer_id": offer, "call_id": "c-1", "agent_id": "1001", "queue": "support",
            "queue_title": {"en": "Support", "zh": "技术支持"}, "number": number, "match": "found", "customers": [CARD],
            "tier": "gold", "language": "en", "choice": "Support > Orders", "queued_at": ago(102), "offered_at": ago(),
            "deadline": ago(-20), "dispositions": ["resolved", "follow_up", "escalated", "wrong_number", "other"],
            "callback": False, **fields,
        }  # fmt: skip
        self.row = {**self.row, "state": "ringing", "since": ago(), "call_id": "c-1"}
        self.tell(agents={"1001": self.row}, calls={"c-1": self.call}, pops={"1001": self.pop})

    def talks(self, **fields: Any) -> None:
        """The call is answered."""
        assert self.call is not None
        self.call = {**self.call, "state": "talking", "answered_at": ago(), "since": ago(), "recording": True}
        self.row = {**self.row, "state": "talking", "since": ago(), "call_id": self.call["call_id"]}
        self.talk = self.talk_view(**fields)
        self.tell(calls={self.call["call_id"]: self.call}, agents={"1001": self.row}, talks={"1001": self.talk})

    def talk_view(self, *, parties: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
        """The call with everybody on it."""
        call = self.call or {"call_id": "c-1", "caller_number": NUMBER}
        return {
            "call_id": call["call_id"], "direction": "inbound", "number": call["caller_number"],
            "customer_name": CARD["name"], "state": "talking", "parties": parties or [party("caller")], "consult": None,
            "conference": False, "transferred_from": None, "note": "", **fields,
        }  # fmt: skip

    def set_talk(self, **fields: Any) -> None:
        """Change who is on the line."""
        self.talk = self.talk_view(**fields)
        self.tell(talks={"1001": self.talk})

    def consults(self, state: str = "talking", *, reason: str = "") -> None:
        """Bo is asked about the caller, who hears music."""
        bo = party("1002", kind="agent", agent_id="1002", name="Bo Lindqvist", number=None, state=state)
        asked = {**bo, "by": "1001", "reason": reason}
        if state == "failed":
            self.set_talk(consult=asked)
        else:
            held = "talking" if state == "held" else "held"
            self.set_talk(state="consulting", parties=[party("caller", state=held), bo], consult=asked)

    def confers(self) -> None:
        """The caller, Bo and this agent talk together."""
        bo = party("1002", kind="agent", agent_id="1002", name="Bo Lindqvist", number=None)
        self.set_talk(state="conference", parties=[party("caller"), bo], conference=True)

    def withdraw(self, why: str) -> None:
        """The offer goes away."""
        self.pop = None
        self.call = None
        self.row = {**self.row, "state": "ready", "since": ago(), "call_id": None}
        self.tell(agents={"1001": self.row}, pops={"1001": None}, withdrawn={"1001": why}, calls_gone=["c-1"])

    def wrap_up(self, *, seconds: float = 30) -> None:
        """The call is over; the work after it begins."""
        self.talk = None
        self.row = {**self.row, "state": "wrap_up", "since": ago(), "wrap_up_until": ago(-seconds)}
        self.tell(agents={"1001": self.row}, talks={"1001": None})

    # -- looking

    def one(self, testid: str) -> Any:
        """The element with this test id."""
        return self.page.get_by_test_id(testid)

    async def until(self, testid: str, *, within: float = 60, text: str = "", **data: str) -> None:
        """Wait until the element is there with these data attributes and this text."""
        wanted = "".join(f'[data-{name.replace("_", "-")}="{value}"]' for name, value in data.items())
        found = self.page.locator(f'[data-testid="{testid}"]{wanted}')
        if text:
            found = found.filter(has_text=text)
        await found.first.wait_for(state="attached", timeout=within * 1000)

    async def asks(self, path: str, *, within: float = 60) -> Any:
        """The body of the last request to this path, waited for."""
        deadline = time.monotonic() + within
        while True:
            found = [body for asked, body in self.asked if asked == path]
            if found:
                return found[-1]
            if time.monotonic() > deadline:
                raise AssertionError(f"nobody asked {path}; asked: {[asked for asked, _ in self.asked]}")
            await asyncio.sleep(0.02)

    async def in_call(self) -> None:
        """Ready, rung, answered: both hear each other."""
        self.ready()
        await self.line.registered.wait()
        self.offer()
        await self.until("pop")
        await self.line.ring(X_CTI_Offer="7", X_CTI_Call="c-1")
        await self.page.keyboard.press("a")
        async with asyncio.timeout(60):
            await self.line.answered.wait()
        self.talks()
        await self.until("agent-page", step="talking")
        await self.until("mute")

    async def assert_no_faults(self, *allowed: str) -> None:
        """No policy broken, nothing on the console, nothing uncaught."""
        said = [text for text in self.said if not any(re.search(pattern, text) for pattern in allowed)]
        violations = await self.page.evaluate("() => window.__violations ?? []")
        assert (said, violations) == ([], [])


class ScriptedDesks:
    """One Chromium; each desk in a profile of its own unless it is a second page of another."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def desk(
        self, *, language: str = "en", microphone: bool = True, desks: dict[str, Any] | None = None, **options: Any
    ) -> ScriptedDesk:
        """An opened desk, its phone signed on."""
        context = await self._browser.new_context(
            viewport={"width": 1280, "height": 720}, locale="en-US",
            permissions=["microphone"] if microphone else [], **options,
        )  # fmt: skip
        context.set_default_timeout(60_000)
        await context.add_init_script(PEER)
        desk = ScriptedDesk(context)
        desk.desks = desks or {}
        await desk.open(language=language)
        return desk

    async def second_page(self, desk: ScriptedDesk) -> ScriptedDesk:
        """The same agent in another tab of the same browser."""
        other = ScriptedDesk(desk.page.context)
        other.row = desk.row
        await other.open()
        return other


@contextlib.asynccontextmanager
async def scripted_desks(*switches: str, without: tuple[str, ...] = ()) -> AsyncIterator[ScriptedDesks]:
    """A headless Chromium for scripted desks."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program is not None, "chromium is not on PATH"
    assert (STATIC / "agent.html").is_file(), "the pages are not built: make ui"
    async with async_playwright() as playwright:
        given = [one for one in SWITCHES if one not in without]
        browser = await playwright.chromium.launch(executable_path=program, headless=True, args=[*given, *switches])
        try:
            yield ScriptedDesks(browser)
        finally:
            await browser.close()
