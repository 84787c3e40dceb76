"""Record what a real Asterisk says on AMI while calls go through it. Run by hand: `python -m tests.recordings.ami.record FOLDER`.

Writes `asterisk-<version>-<name>.ami` into FOLDER: the received bytes, from the banner on, nothing changed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.integration import ami_asterisk as tiny


class Recorder:
    """A bare AMI connection that keeps every byte it is sent."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard = b""

    async def __aenter__(self) -> Recorder:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._task = asyncio.create_task(self._read())
        await self.send(f"Action: Login\r\nUsername: cti\r\nSecret: {tiny.SECRET}\r\nEvents: call,user,system")
        await self.until(b"Event: FullyBooted")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        await self._writer.wait_closed()

    async def _read(self) -> None:
        while data := await self._reader.read(65536):
            self.heard += data

    async def send(self, action: str) -> None:
        self._writer.write(action.encode() + b"\r\n\r\n")
        await self._writer.drain()

    async def until(self, text: bytes, after: int = 0, seconds: float = 20) -> int:
        """Wait until `text` was heard after position `after`; its position."""
        async with asyncio.timeout(seconds):
            while self.heard.find(text, after) < 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return self.heard.find(text, after)

    def field(self, name: bytes, after: int) -> str:
        start = self.heard.index(b"\r\n" + name + b": ", after) + len(name) + 4
        return self.heard[start : self.heard.index(b"\r\n", start)].decode()

    def channel_of(self, position: int) -> str:
        return self.field(b"Channel", position)


async def answered(asterisk: tiny.TinyAsterisk, peers: tiny.SippPeers) -> bytes:
    """Caller waits, agent answers, holds, retrieves and hangs up."""
    (phone,) = tiny.free_ports(1)
    async with Recorder(asterisk.ami_port) as ami:
        await peers.run(tiny.register_scenario("1001", phone))
        agent = await peers.start(tiny.agent_scenario(hold=True), port=phone)
        caller = await peers.start(tiny.caller_scenario(talk_ms=0, hangs_up=False), address="127.0.0.2")
        at = await ami.until(b"UserEvent: CtiWait")
        channel = ami.channel_of(ami.heard.rfind(b"\r\n\r\n", 0, at))
        await ami.send(
            f"Action: Redirect\r\nActionID: r1\r\nChannel: {channel}\r\nContext: cti-deliver\r\n"
            "Exten: 000000004211001\r\nPriority: 1"
        )
        for process in (agent, caller):
            out, _ = await process.communicate()
            assert process.returncode == 0, out.decode()[-2000:]
        await ami.until(b"Uniqueid: " + ami.field(b"Uniqueid", at).encode(), ami.heard.rfind(b"Event: Hangup"))
        await ami.send("Action: Status\r\nActionID: s1\r\nVariables: CTI_CALL")
        await ami.until(b"StatusComplete")
        return ami.heard


async def refused(asterisk: tiny.TinyAsterisk, peers: tiny.SippPeers) -> bytes:
    """Agent rejects (603) and is busy (486); the caller waits on, is looked at in a snapshot, and hangs up."""
    (phone,) = tiny.free_ports(1)
    async with Recorder(asterisk.ami_port) as ami:
        await peers.run(tiny.register_scenario("1001-web", phone))
        caller = await peers.start(tiny.caller_scenario(talk_ms=5000, hangs_up=True), address="127.0.0.2")
        at = await ami.until(b"UserEvent: CtiWait")
        channel = ami.channel_of(ami.heard.rfind(b"\r\n\r\n", 0, at))
        for offer, status in ((422, "603 Decline"), (423, "486 Busy Here")):
            agent = await peers.start(tiny.agent_scenario(status=status), port=phone)
            await ami.send(
                f"Action: Redirect\r\nActionID: r{offer}\r\nChannel: {channel}\r\nContext: cti-deliver\r\n"
                f"Exten: {offer:010d}21001\r\nPriority: 1"
            )
            await agent.communicate()
            at = await ami.until(b"UserEvent: CtiReturned", at)
            at = await ami.until(b"UserEvent: CtiWait", at)
        await ami.send("Action: Status\r\nActionID: s1\r\nVariables: CTI_CALL,CTI_OFFER,CTI_QUEUE,CTI_NUMBER,CTI_DID")
        await ami.until(b"StatusComplete")
        await ami.send("Action: DeviceStateList\r\nActionID: d1")
        await ami.until(b"DeviceStateListComplete")
        await ami.send("Action: PJSIPShowContacts\r\nActionID: c1")
        await ami.until(b"ContactListComplete")
        await ami.send("Action: BridgeList\r\nActionID: b1")
        await ami.until(b"BridgeListComplete")
        await caller.communicate()
        await ami.until(b"Event: Hangup", at)
        at = len(ami.heard)
        await peers.run(tiny.register_scenario("1001-web", phone, expires=0))
        await ami.until(b"State: UNAVAILABLE", at)
        return ami.heard


async def main(out: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="ami-rec-") as folder:
        async with tiny.tiny_asterisk(Path(folder)) as asterisk:
            version = asterisk.binary.version.partition("+")[0]
            for record in (answered, refused):
                peers = tiny.SippPeers(asterisk)
                try:
                    data = await record(asterisk, peers)
                finally:
                    await peers.stop()
                file = out / f"asterisk-{version}-{record.__name__}.ami"
                file.write_bytes(data)
                print(f"{file.name}: {len(data)} bytes", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
