"""Frame times of the supervisor's page in a real Chromium: 500 agents, 2,000 calls, 50 updates a second.

    python -m benchmarks.page_frames                      # measure 20 s, print p50/p95/p99 of the frames' work and of their distance
    python -m benchmarks.page_frames --serve 8095         # only serve the floor, to look at it (supervisor / demo)

The floor is invented, the rest is real: the web server, the feed with its encoding, the built page. The rows have the
shapes and sizes of a real floor's; each update is one change with a few rows of calls, agents and queues, as the
dispatcher would tell it. Measured are (1) the distance between animation frames, and (2) the work of the page's main
thread in each, from Chromium's own trace (scripts, style, layout, paint): on a machine without a screen the browser
paints 60 times a second if it can, so a frame is late when its work is over 16 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import statistics
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

import cti
from cti.ids import AgentId, CallId, FlowName, QueueName
from cti.model.alerts import USUAL_TARGETS
from cti.model.centre import Agent, Centre, Number, Queue, Tier
from cti.model.facts import AgentState
from cti.services.floor import AgentRow, AlertRow, CallRow, CentreRow, Change
from cti.web.app import build_app, serving
from tests.support.fake_floor import FakeFloor, make_deps

TITLES = (
    ("support", "Support", "技术支持"), ("sales", "Sales", "销售"), ("vip", "VIP line", "贵宾专线"),
    ("billing", "Billing", "账单"), ("orders", "Orders", "订单"), ("returns", "Returns", "退换货"),
    ("claims", "Claims", "理赔"), ("travel", "Travel", "差旅"), ("card", "Cards", "信用卡"), ("loans", "Loans", "贷款"),
    ("network", "Network", "网络故障"), ("mobile", "Mobile", "移动业务"), ("tv", "Television", "电视"),
    ("fraud", "Fraud", "反欺诈"), ("partner", "Partners", "合作伙伴"), ("english", "English desk", "英语服务"),
)  # fmt: skip
FIRST = (
    "Ada",
    "Ben",
    "Chloe",
    "Diego",
    "Emma",
    "Farah",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Katja",
    "Liam",
    "王",
    "李",
    "陈",
    "林",
    "赵",
)
LAST = (
    "Stone",
    "Okafor",
    "Martin",
    "Ruiz",
    "Novak",
    "Aziz",
    "Kim",
    "Weber",
    "Silva",
    "Berg",
    "芳",
    "浩",
    "晓雨",
    "静",
    "建国",
)
WHY = ("no_agent_free", "no_agent_free", "behind_others", "nobody_has_skill", "held_for_agent")
REASONS = ("break", "lunch", "meeting", "training", "admin")
TALK = 0.55
"""Share of the calls in which somebody talks; as many wait as are left over from menus."""


def centre_of(agents: int, queues: int) -> Centre:
    """A centre so large."""
    chosen = random.Random(1)
    names = [QueueName(name) for name, _, _ in TITLES[:queues]]
    return Centre(
        name="Harbour Services",
        queues={
            QueueName(name): Queue(name=QueueName(name), titles={"en": en, "zh": zh}, service_level=timedelta(seconds=20))
            for name, en, zh in TITLES[:queues]
        },
        agents={
            AgentId(str(1001 + i)): Agent(
                agent_id=AgentId(str(1001 + i)), name=_name(chosen), queues=tuple(sorted(chosen.sample(names, min(3, queues))))
            )
            for i in range(agents)
        },
        tiers={"vip": Tier(name="vip"), "gold": Tier(name="gold"), "regular": Tier(name="regular")},
        numbers={"5000": Number(did="5000", flow=FlowName("main"), survival_queue=names[0])},
    )  # fmt: skip


def _name(chosen: random.Random) -> str:
    first = chosen.choice(FIRST)
    last = chosen.choice(LAST[:10] if first.isascii() else LAST[10:])
    return f"{first} {last}" if first.isascii() else first + last


class BigFloor:
    """Rows of a busy floor, and what happens on it."""

    def __init__(self, *, agents: int, calls: int, queues: int, seed: int = 3) -> None:
        self.chosen = random.Random(seed)
        self.centre = centre_of(agents, queues)
        self.floor = FakeFloor(self.centre, most_behind=5000)
        self.serial = 0
        self.wanted = calls
        now = datetime.now(UTC)
        agent_ids = list(self.floor.agents)
        for agent_id in agent_ids:
            self._agent(agent_id, now - timedelta(seconds=self.chosen.randrange(1, 3000)))
        talking = int(min(calls * TALK, agents * 0.75))
        changed: dict[CallId, CallRow] = {}
        for agent_id in self.chosen.sample(agent_ids, talking):
            call = self._call(now, state="talking", agent_id=agent_id)
            changed[call.call_id] = call
            self.floor.agents[agent_id] = replace(
                self.floor.agents[agent_id], state=AgentState.TALKING, reason="", since=call.since, call_id=call.call_id
            )
        while len(changed) < calls:
            call = self._call(now, state="menu" if self.chosen.random() < 0.25 else "waiting")
            changed[call.call_id] = call
        self.floor.apply(Change(calls=changed))
        self.floor.apply(Change(queues=self._queues(now), centre=self._centre(now), alerts=self._alerts(now)))

    def _agent(self, agent_id: AgentId, since: datetime) -> None:
        state = self.chosen.choices(
            (AgentState.READY, AgentState.NOT_READY, AgentState.WRAP_UP, AgentState.OFFLINE), (4, 3, 2, 2)
        )[0]
        self.floor.agents[agent_id] = replace(
            self.floor.agents[agent_id],
            state=state,
            reason=self.chosen.choice(REASONS) if state is AgentState.NOT_READY else "",
            since=since,
            page_connected=self.chosen.random() > 0.02,
            calls_today=self.chosen.randrange(40),
            talk_seconds_today=float(self.chosen.randrange(12000)),
            wrap_seconds_today=900.0,
            busy_seconds_today=float(self.chosen.randrange(9000, 15000)),
            ready_seconds_today=float(self.chosen.randrange(1000, 5000)),
        )

    def _call(self, now: datetime, *, state: str, agent_id: AgentId | None = None, age: float | None = None) -> CallRow:
        self.serial += 1
        chosen = self.chosen
        waited = chosen.expovariate(1 / 25) if age is None else age
        queue = chosen.choice(list(self.centre.queues)) if state != "menu" else None
        if agent_id is not None:
            queue = chosen.choice(self.floor.agents[agent_id].queues)
        started = now - timedelta(seconds=waited + 12)
        skills = chosen.choice(((), (), (("en", 3),), (("zh", 4),), (("billing", 2), ("zh", 3))))
        return self.floor.make_call(
            f"a1-{1_790_000_000 + self.serial}.{self.serial}",
            state=state,
            since=now - timedelta(seconds=waited),
            started_at=started,
            caller_number=f"+1555{chosen.randrange(10**7):07d}" if chosen.random() > 0.03 else None,
            customer_name=_name(chosen) if chosen.random() < 0.6 else "",
            tier=chosen.choices(("vip", "gold", "silver", "regular", ""), (1, 2, 3, 6, 4))[0],
            queue=queue,
            queued_at=None if state == "menu" else started + timedelta(seconds=12),
            place=chosen.randrange(1, 60) if state == "waiting" else None,
            skills=skills,
            why_waiting=chosen.choice(WHY) if state == "waiting" else "",
            choice="Support > Orders",
            agent_id=agent_id,
            answered_at=now if agent_id else None,
            expected_wait=(30, 95) if state == "waiting" else None,
            path=(("flow", "main"), ("choice", "Orders"), *((("queue", queue),) if queue else ())),
        )

    def _queues(self, now: datetime, names: list[QueueName] | None = None) -> dict[QueueName, Any]:
        waiting: dict[QueueName, list[datetime]] = {name: [] for name in self.centre.queues}
        for call in self.floor.calls.values():
            if call.state == "waiting" and call.queue is not None:
                waiting[call.queue].append(call.queued_at or now)
        states: dict[QueueName, dict[str, int]] = {name: {} for name in self.centre.queues}
        for row in self.floor.agents.values():
            for name in row.queues:
                states[name][row.state.value] = states[name].get(row.state.value, 0) + 1
        found = {}
        for name in names or list(self.centre.queues):
            level = round(min(1.0, max(0.2, self.chosen.gauss(0.82, 0.12))), 3)
            found[name] = replace(
                self.floor.queues[name],
                waiting=len(waiting[name]),
                longest_since=min(waiting[name], default=None),
                agents_ready=states[name].get("ready", 0),
                agents_busy=states[name].get("talking", 0),
                agents_logged_in=sum(states[name].values()) - states[name].get("offline", 0),
                answered_today=400 + self.serial % 50,
                abandoned_today=31,
                in_time_today=330,
                service_level=0.79,
                service_level_now=level,
                service_level_hour=0.81,
                expected_wait=(20, 80),
                agents=states[name],
            )
        return found

    def _centre(self, now: datetime) -> CentreRow:
        chosen, slots = random.Random(5), 2 * 19 + 1
        wave = [max(0.0, 1 - abs(i - 22) / 18) for i in range(slots)]
        calls = tuple(round(380 * one + chosen.randrange(20)) if one else 0 for one in wave)
        share = tuple(round(min(1.0, chosen.gauss(0.83, 0.06)), 3) if one else None for one in wave)
        return CentreRow(
            day_start=now.replace(hour=0, minute=0, second=0, microsecond=0),
            calls=sum(calls) + self.serial % 1000,
            live=len(self.floor.calls),
            answered=sum(calls) * 9 // 10,
            abandoned=sum(calls) // 14,
            service_level=0.78,
            longest_wait=412.0,
            satisfaction=0.91,
            rated=214,
            complaint_rate=0.0031,
            complaints=19,
            effective_answer_rate=0.93,
            targets=dict(USUAL_TARGETS),
            series={
                "calls": calls,
                "answered": tuple(n * 9 // 10 for n in calls),
                "abandoned": tuple(n // 14 for n in calls),
                "service_level": share,
                "longest_wait": tuple(float(n // 2) for n in calls),
                "satisfaction": tuple(None if one is None else min(1.0, one + 0.08) for one in share),
                "complaint_rate": tuple(0.003 if n else None for n in calls),
                "effective_answer_rate": tuple(None if one is None else min(1.0, one + 0.1) for one in share),
            },
        )

    def _alerts(self, now: datetime) -> dict[str, AlertRow | None]:
        names = list(self.centre.queues)
        rows = (
            AlertRow(
                alert=f"{names[0]}.longest_wait", queue=names[0], figure="longest_wait", level="critical",
                since=now - timedelta(seconds=95), value=143.0, limit=120.0,
            ),
            AlertRow(
                alert=f"{names[-1]}.service_level", queue=names[-1], figure="service_level", level="warn",
                since=now - timedelta(minutes=7), value=0.71, limit=0.75, acknowledged_by="supervisor", acknowledged_at=now,
            ),
        )  # fmt: skip
        return {row.alert: row for row in rows}

    def step(self) -> Change:
        """One thing that happens: as the dispatcher would tell it."""
        now, chosen, floor = datetime.now(UTC), self.chosen, self.floor
        calls: dict[CallId, CallRow] = {}
        agents: dict[AgentId, AgentRow] = {}
        gone: list[CallId] = []
        touched: set[QueueName] = set()
        kind = chosen.random()
        live = list(floor.calls)
        if kind < 0.35 or len(live) < self.wanted:
            call = self._call(now, state="menu", age=0.0)
            calls[call.call_id] = call
            over = chosen.choice(live)
            row = floor.calls[over]
            gone.append(over)
            if row.agent_id is not None:
                agents[row.agent_id] = replace(
                    floor.agents[row.agent_id], state=AgentState.WRAP_UP, since=now, call_id=over,
                    calls_today=floor.agents[row.agent_id].calls_today + 1,
                )  # fmt: skip
            if row.queue is not None:
                touched.add(row.queue)
        elif kind < 0.6:
            row = floor.calls[chosen.choice([key for key in live if floor.calls[key].state == "menu"] or live)]
            queue = chosen.choice(list(self.centre.queues))
            calls[row.call_id] = replace(
                row, state="waiting", since=now, queue=queue, queued_at=now, place=30, why_waiting="no_agent_free"
            )
            touched.add(queue)
        elif kind < 0.85:
            waiting = [key for key in live if floor.calls[key].state == "waiting"]
            ready = [key for key, one in floor.agents.items() if one.state is AgentState.READY]
            if waiting and ready:
                row, agent_id = floor.calls[chosen.choice(waiting)], chosen.choice(ready)
                calls[row.call_id] = replace(
                    row, state="talking", since=now, agent_id=agent_id, answered_at=now, place=None
                )
                agents[agent_id] = replace(
                    floor.agents[agent_id], state=AgentState.TALKING, since=now, call_id=row.call_id
                )
                if row.queue is not None:
                    touched.add(row.queue)
        else:
            for agent_id in chosen.sample(list(floor.agents), 3):
                one = floor.agents[agent_id]
                if one.state in (AgentState.WRAP_UP, AgentState.NOT_READY, AgentState.READY):
                    state = AgentState.READY if one.state is not AgentState.READY else AgentState.NOT_READY
                    agents[agent_id] = replace(one, state=state, reason="break", since=now, call_id=None)
                    touched.update(one.queues[:1])
        # Places and expected waits of those who wait behind move, too.
        for name in touched:
            for key, row in floor.calls.items():
                if (
                    len(calls) < 12
                    and row.queue == name
                    and row.state == "waiting"
                    and key not in calls
                    and key not in gone
                ):
                    calls[key] = replace(
                        row, place=max(1, (row.place or 2) - 1), expected_wait=(25, 25 + chosen.randrange(90))
                    )
        return Change(
            calls=calls,
            calls_gone=tuple(gone),
            agents=agents,
            queues=self._queues(now, sorted(touched)) if touched else {},
        )

    async def run(self, updates: float) -> None:
        """Let it happen so often in a second, for ever."""
        loop = asyncio.get_running_loop()
        began, done = loop.time(), 0
        while True:
            done += 1
            change = self.step()
            if done % round(updates) == 0:
                change = replace(change, centre=self._centre(datetime.now(UTC)))
            self.floor.apply(change)
            await asyncio.sleep(max(0.0, began + done / updates - loop.time()))


WATCH = """() => new Promise((resolve) => {
  const gaps = []; let last = performance.now(); const end = last + SECONDS * 1000;
  const long = []; new PerformanceObserver((list) => long.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
  const frame = (now) => { gaps.push(now - last); last = now; if (now < end) requestAnimationFrame(frame); else resolve({ gaps, long }); };
  requestAnimationFrame(frame);
})"""


def frames_of(trace: list[dict[str, Any]], clock: str) -> list[float]:
    """Milliseconds of the page's main thread in each sixtieth of a second, by Chromium's trace.

    `clock` is "dur" for the time that passed, "tdur" for the time the thread had the processor: on a machine with other
    work the one has that work's share in it, the other has not.
    """
    mains = {
        (event["pid"], event["tid"])
        for event in trace
        if event.get("name") == "thread_name" and event.get("args", {}).get("name") == "CrRendererMain"
    }
    tasks: dict[tuple[int, int], list[tuple[float, float]]] = {main: [] for main in mains}
    for event in trace:
        main = (event.get("pid"), event.get("tid"))
        if main in tasks and event.get("ph") == "X" and event.get("name") == "RunTask":
            tasks[main].append((event["ts"] / 1000, event.get(clock, 0) / 1000))
    busiest = max(tasks.values(), key=lambda found: sum(length for _, length in found), default=[])
    if not busiest:
        return []
    first = min(at for at, _ in busiest)
    slots: dict[int, float] = {}
    for at, length in busiest:
        slot = int((at - first) / (1000 / 60))
        slots[slot] = slots.get(slot, 0.0) + length
    return [slots.get(i, 0.0) for i in range(max(slots) + 1)]


def shares_of(trace: list[dict[str, Any]]) -> dict[str, float]:
    """Milliseconds of processor time by kind of work, for whoever wants to mend it."""
    found: dict[str, float] = {}
    for event in trace:
        if event.get("ph") == "X" and "tdur" in event and event.get("cat", "").find("devtools.timeline") >= 0:
            found[event["name"]] = found.get(event["name"], 0.0) + event["tdur"] / 1000
    return found


def told(name: str, values: list[float]) -> str:
    """One line of percentiles."""
    if not values:
        return f"{name:<38} none"
    ordered = sorted(values)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))]  # noqa: E731
    late = sum(value > 16.0 for value in values)
    return (
        f"{name:<38} p50 {at(0.5):6.2f}  p95 {at(0.95):6.2f}  p99 {at(0.99):6.2f}  max {ordered[-1]:7.2f} ms"
        f"  over 16 ms: {late} of {len(values)}  mean {statistics.fmean(values):.2f}"
    )


async def measure(url: str, seconds: float, updates: float, keep: Path | None = None) -> None:
    """Open the page, let it settle, watch its frames."""
    program = shutil.which("chromium") or "chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, headless=True, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        context = await browser.new_context(viewport={"width": 1920, "height": 1080}, locale="en-GB")
        await context.request.post(
            f"{url}/api/v1/login", data={"username": "supervisor", "password": "demo"}, headers={"Origin": url}
        )
        page = await context.new_page()
        await page.goto(f"{url}/supervisor")
        await page.locator("[data-testid=supervisor-page][data-live=true] [data-testid=calls-list]").wait_for(
            timeout=30_000
        )
        await asyncio.sleep(3)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "trace.json"
            await browser.start_tracing(
                page=page,
                path=file,
                categories=["toplevel", "disabled-by-default-devtools.timeline", "devtools.timeline"],
            )
            watched = await page.evaluate(WATCH.replace("SECONDS", str(seconds)))
            await browser.stop_tracing()
            trace = json.loads(file.read_text())["traceEvents"]
            if keep is not None:
                shutil.copy(file, keep)
        nodes = await page.evaluate("document.querySelectorAll('*').length")
        print(f"{seconds:g} s at {updates:g} updates/s, {nodes} elements in the document")
        print(told("main thread a frame, processor time", frames_of(trace, "tdur")))
        print(told("main thread a frame, time passed", frames_of(trace, "dur")))
        print(told("between animation frames", watched["gaps"]))
        print(told("long tasks (over 50 ms)", watched["long"]))
        for name, ms in sorted(shares_of(trace).items(), key=lambda one: -one[1])[:10]:
            print(f"    {name:<30} {ms / seconds:7.1f} ms a second")
        await browser.close()


async def run(given: argparse.Namespace) -> None:
    """Serve, and measure unless only that was asked for."""
    big = BigFloor(agents=given.agents, calls=given.calls, queues=given.queues)
    with tempfile.TemporaryDirectory() as folder:
        port = given.serve or 0
        static = Path(cti.__file__).parent / "web" / "static"
        # Which origins are ours depends on the port, which is known before only when it is given.
        port = port or random.Random().randrange(20000, 40000)
        app = build_app(make_deps(big.floor, Path(folder), port=port, static=static))
        async with serving(app, "127.0.0.1", port):
            happening = asyncio.create_task(big.run(given.updates))
            url = f"http://127.0.0.1:{port}"
            print(f"{url}/supervisor: {given.agents} agents, {given.calls} calls, {given.queues} queues", flush=True)
            if given.serve:
                await happening
            await measure(url, given.seconds, given.updates, given.trace)
            happening.cancel()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--queues", type=int, default=12)
    parser.add_argument("--updates", type=float, default=50.0, help="a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--trace", type=Path, help="keep Chromium's trace in this file")
    parser.add_argument("--serve", type=int, default=0, metavar="PORT")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
