"""One Asterisk, one bridge, forty agents: what both systems work on.

Asterisk runs on the product's own rendered configuration. Added for the comparison: the agents' phones have fixed
contacts (one SIPp process answers for all of them), a native queue `native` with the same phones as members, two numbers
that go around the bridge, and a manager account that only watches. The bridge is `cti serve` as it ships, with its
embedded database; the agents are ready by its journal, as after a restart. It stays connected whoever is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cti.asterisk.install import ensure_asterisk
from cti.asterisk.process import AsteriskProcess
from cti.asterisk.render import RenderedPaths, render
from cti.centre_file import load_centre
from cti.children import Child
from cti.ids import AgentId
from cti.journal.writer import JournalWriter
from cti.model.facts import AgentChanged, AgentState, Device
from cti.places import Places
from cti.secrets_file import load_or_make
from cti.settings import Settings
from cti.status import ready
from cti.store.embedded import EmbeddedPostgres
from cti.store.migrate import migrate
from tests.integration.asterisk_rig import free_settings

REPOSITORY = Path(__file__).resolve().parents[2]
AGENT = (Path(__file__).parent / "agent.xml").read_text(encoding="utf-8")
OURS, NATIVE, BARE = "7000", "7001", "7002"
"""The numbers callers dial: through the bridge, into app_queue, straight to a phone."""
WATCHER = "watcher"
WATCHED = ("DialBegin", "Hangup", "HangupRequest", "QueueCallerJoin", "UserEvent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What runs, and where."""

    settings: Settings
    paths: RenderedPaths
    dsn: str
    agents: tuple[str, ...]
    phones: tuple[str, int]
    """Where the agents' phones must listen."""
    watch_secret: str
    pids: Mapping[str, int]

    @property
    def sip(self) -> tuple[str, int]:
        """Where callers call."""
        return "127.0.0.1", self.settings.ports.of("sip")

    @property
    def carrier(self) -> str:
        """The address callers come from."""
        return self.settings.trunk.match[0]

    @contextlib.asynccontextmanager
    async def talking(self, talk: str) -> AsyncIterator[None]:
        """Agents' phones that answer, with this `pause` (SIPp's XML) between answer and hang-up."""
        host, port = self.phones
        with tempfile.TemporaryDirectory(prefix="cti-bench-") as folder:
            scenario = Path(folder) / "agent.xml"
            scenario.write_text(AGENT.replace("TALK\n", f"{talk}\n"), encoding="utf-8")
            command = ["sipp", "-sf", str(scenario), "-i", host, "-p", str(port), "-nostdin", "-nr"]
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, cwd=folder,
            )  # fmt: skip
            try:
                yield
                if process.returncode is not None:
                    raise RuntimeError(f"the agents' phones ended with status {process.returncode}")
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def benchmark_centre(agents: tuple[str, ...]) -> str:
    """One queue, one number, these agents; no work after a call, nothing announced."""
    rows = "\n".join(f'  "{agent}": {{name: Agent {agent}, queues: [ours]}}' for agent in agents)
    return f"""name: Side by side
numbers:
  "{OURS}": {{title: ours, flow: straight, survival_queue: ours}}
queues:
  ours:
    titles: {{en: ours}}
    wrap_up: 0
    announce: {{place: false, wait: false, comfort: []}}
agents:
{rows}
"""


def write_flow(flows: Path) -> None:
    """A folder of flows with one that does nothing but queue."""
    flows.mkdir()
    shutil.copy(REPOSITORY / "ivr_flows" / "prompts.yaml", flows)
    (flows / "straight.yaml").write_text(
        "flow: straight\nlanguages: [en]\nstart: queue\nfailure: queue\nsteps:\n  queue: {queue: ours}\n",
        encoding="utf-8",
    )


def _add_to_asterisk(paths: RenderedPaths, agents: tuple[str, ...], phones: tuple[str, int], secret: str) -> None:
    def add(name: str, text: str) -> None:
        file = paths.etc / "cti" / name
        file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")

    pjsip = paths.etc / "cti" / "pjsip.conf"
    text = pjsip.read_text(encoding="utf-8")
    host, port = phones
    for agent in agents:
        text, done = re.subn(
            rf"(\n\[{agent}\]\ntype = aor\n)", rf"\1contact = sip:{agent}@{host}:{port}\n", text, count=1
        )
        assert done == 1, agent
    # SIPp takes no OPTIONS in the middle of a scenario of calls; phones that answer calls are there.
    text = re.sub(r"qualify_frequency = \d+", "qualify_frequency = 0", text)
    pjsip.write_text(text, encoding="utf-8")
    first, count = agents[0], len(agents)
    add(
        "extensions.conf",
        f"""
[cti-inbound](+)
exten => {NATIVE},1,Goto(bench-queue,s,1)
exten => {BARE},1,Goto(bench-dial,s,1)
[bench-queue]
exten => s,1,Answer()
 same => n,Queue(native,,,,600)
 same => n,Hangup()
[bench-dial]
exten => s,1,Answer()
 same => n,Dial(PJSIP/$[{first} + ${{CUT(UNIQUEID,.,2)}} % {count}],15,m(cti))
 same => n,Hangup()
""",
    )
    members = "\n".join(f"member => PJSIP/{agent}" for agent in agents)
    add(
        "queues.conf",
        f"""
[native]
strategy = leastrecent
musicclass = cti
timeout = 15
retry = 1
wrapuptime = 0
ringinuse = no
autofill = yes
announce-frequency = 0
periodic-announce-frequency = 0
{members}
""",
    )
    filters = "\n".join(f"eventfilter(action(include),name({name})) =" for name in WATCHED)
    add(
        "manager.conf",
        f"""
[{WATCHER}]
secret = {secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.0/255.0.0.0
read = call,user,agent
write = system
{filters}
""",
    )


@contextlib.asynccontextmanager
async def running_floor(folder: Path, agent_count: int) -> AsyncIterator[Floor]:
    """Everything, ready for calls; stopped at the end."""
    agents = tuple(str(2001 + n) for n in range(agent_count))
    loopback = random.SystemRandom()
    phones = (f"127.{loopback.randrange(10, 250)}.{loopback.randrange(1, 250)}.{loopback.randrange(2, 250)}", 5060)
    flows = folder / "flows"
    write_flow(flows)
    prompts = REPOSITORY / ".build" / "prompts"
    settings = free_settings(folder / "data", flows=flows, prompts=prompts)
    places = Places(settings)
    places.make()
    places.centre.write_text(benchmark_centre(agents), encoding="utf-8")
    centre = load_centre(places.centre)
    secrets = load_or_make(settings.data, centre)
    binary = await asyncio.to_thread(ensure_asterisk, settings, lambda step, done, total: None)
    paths = render(settings, centre, secrets, binary, places.prompts, places.asterisk)
    _add_to_asterisk(paths, agents, phones, secrets.session_key)
    now = datetime.now(UTC)
    journal = JournalWriter(places.journal)
    await journal.append(
        [AgentChanged(at=now, agent_id=AgentId(agent), state=AgentState.READY, device=Device.SIP) for agent in agents]
    )
    await journal.close()
    async with contextlib.AsyncExitStack() as stack:
        database = EmbeddedPostgres(places.postgres)
        dsn = await asyncio.to_thread(database.start)
        stack.push_async_callback(asyncio.to_thread, database.stop)
        await migrate(dsn)
        asterisk = AsteriskProcess(binary, paths)
        await asterisk.start()
        stack.push_async_callback(asterisk.stop)
        environment = {
            **os.environ,
            "CTI_DATABASE__URL": dsn,
            "CTI_FLOWS": str(flows),
            "CTI_PROMPTS": str(prompts),
            "CTI_TRUNK__MATCH": f'["{settings.trunk.match[0]}"]',
            "PYTHONUNBUFFERED": "1",
            **{f"CTI_PORTS__{n.upper()}": str(settings.ports.of(n)) for n in ("web", "sip", "ws", "ami", "agi")},
        }
        command = [sys.executable, "-m", "cti", "serve", "--data", str(settings.data)]
        bridge = Child("bridge", command, log=places.log / "bridge.log", env=environment)
        await bridge.start()
        stack.push_async_callback(bridge.stop)
        async with asyncio.timeout(30):
            while not (told := await ready(settings))[0]:
                if bridge.pid is None:
                    raise RuntimeError(f"the bridge ended: {(places.log / 'bridge.log').read_text()[-2000:]}")
                await asyncio.sleep(0.1)
        assert told[0]
        yield Floor(
            settings=settings, paths=paths, dsn=dsn, agents=agents, phones=phones,
            watch_secret=secrets.session_key,
            pids={"asterisk": asterisk.pid or 0, "bridge": bridge.pid or 0, "postgres": database.pid},
        )  # fmt: skip
