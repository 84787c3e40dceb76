"""One softphone as a process: the SIP library on the main thread, orders and events as JSON lines.

The library (pjsua2) wants one thread for everything, cannot be begun twice in a process, is built for four calls, and ends
the whole process when asked about a call it no longer has. So each phone is a process of its own, and `softphone` talks to it.

Orders: {"id": 1, "do": "dial", ...}; each is answered by {"id": 1, "ok": true, "value": ...} or {"id": 1, "ok": false,
"why": "..."}. Events: {"event": "registered" | "unregistered" | "incoming" | "confirmed" | "media" | "key" | "ended", "call": n,
...}.
"""

from __future__ import annotations

import contextlib
import json
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

import pjsua2 as pj


def tell(**fields: Any) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Call(pj.Call):  # type: ignore[misc]
    """One call, by its number within this process."""

    def __init__(self, phone: Phone, number: int, native: int | None = None) -> None:
        super().__init__(phone.account, *(() if native is None else (native,)))
        self.number = number
        self.over = False
        self.audio: Any = None
        self.tone: Any = None
        self.recorder: Any = None

    def onCallState(self, prm: Any) -> None:  # noqa: N802 - the library's name
        """The library tells of a change."""
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell(event="confirmed", call=self.number)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.tone = self.recorder = self.audio = None
            self.over = True
            tell(event="ended", call=self.number, status=info.lastStatusCode)

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        """Sound may flow now."""
        info = self.getInfo()
        for media in info.media:
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self.audio = self.getAudioMedia(media.index)
                if self.tone is not None:
                    self.tone.startTransmit(self.audio)
                tell(event="media", call=self.number)

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        """The other side pressed a key."""
        tell(event="key", call=self.number, key=prm.digit)


class Account(pj.Account):  # type: ignore[misc]
    """The phone's account."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self.phone = phone

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        """Registered, or not."""
        tell(event="registered" if prm.code == 200 and prm.expiration > 0 else "unregistered", status=prm.code)

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        """Somebody calls: ring."""
        call = self.phone.add(native=prm.callId)
        parameters = pj.CallOpParam()
        parameters.statusCode = 180
        call.answer(parameters)
        tell(event="incoming", call=call.number, invite=str(prm.rdata.wholeMsg))


class Phone:
    """The phone: what the parent may order."""

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint
        self.account = Account(self)
        self.calls: dict[int, Call] = {}
        self.server = ""

    def add(self, native: int | None = None) -> Call:
        """A new call."""
        call = Call(self, len(self.calls) + 1, native)
        self.calls[call.number] = call
        return call

    def open(
        self,
        *,
        user: str,
        password: str,
        server: str,
        address: str,
        port: int,
        register: bool,
        display: str,
        transport: str,
        srtp: str,
    ) -> None:
        """Be a phone at `address`."""
        place = pj.TransportConfig()
        place.boundAddress = place.publicAddress = address
        place.port = port
        config = pj.AccountConfig()
        kind = pj.PJSIP_TRANSPORT_TLS if transport == "tls" else pj.PJSIP_TRANSPORT_UDP
        config.sipConfig.transportId = self.endpoint.transportCreate(kind, place)
        self.server = server = f"{server};transport=tls" if transport == "tls" else server
        config.mediaConfig.srtpUse = {
            "off": pj.PJMEDIA_SRTP_DISABLED,
            "optional": pj.PJMEDIA_SRTP_OPTIONAL,
            "mandatory": pj.PJMEDIA_SRTP_MANDATORY,
        }[srtp]
        config.mediaConfig.srtpSecureSignaling = 1 if transport == "tls" else 0
        config.idUri = f'"{display}" <sip:{user}@{server}>' if display else f"sip:{user}@{server}"
        config.regConfig.registrarUri = f"sip:{server}" if register else ""
        config.regConfig.registerOnAdd = register
        config.regConfig.retryIntervalSec = 2
        config.mediaConfig.transportConfig.boundAddress = address
        config.mediaConfig.transportConfig.publicAddress = address
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_INACTIVE
        if password:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
        self.account.create(config)

    def dial(self, *, number: str, headers: dict[str, str]) -> int:
        """Call `number` at the server."""
        call = self.add()
        parameters = pj.CallOpParam(True)
        for name, value in headers.items():
            header = pj.SipHeader()
            header.hName, header.hValue = name, value
            parameters.txOption.headers.append(header)
        try:
            call.makeCall(f"sip:{number}@{self.server}", parameters)
        except BaseException:
            call.over = True
            raise
        return call.number

    def answer(self, *, call: int, status: int) -> None:
        """Answer, or refuse."""
        parameters = pj.CallOpParam()
        parameters.statusCode = status
        self._live(call).answer(parameters)

    def hang_up(self, *, call: int) -> None:
        """End a call; harmless when it is over."""
        found = self.calls[call]
        if not found.over and found.getId() >= 0:
            found.hangup(pj.CallOpParam())

    def hold(self, *, call: int, held: bool) -> None:
        """Hold, or take back, by re-INVITE."""
        parameters = pj.CallOpParam(True)
        if held:
            self._live(call).setHold(parameters)
        else:
            parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
            self._live(call).reinvite(parameters)

    def press(self, *, call: int, digits: str) -> None:
        """Keys, by RFC 4733."""
        self._live(call).dialDtmf(digits)

    def tone(self, *, call: int, hertz: int) -> None:
        """Speak a tone."""
        found = self._live(call)
        tone = pj.ToneDesc()
        tone.freq1, tone.freq2, tone.on_msec, tone.off_msec = hertz, 0, 1000, 0
        tones = pj.ToneDescVector()
        tones.append(tone)
        found.tone = pj.ToneGenerator()
        found.tone.createToneGenerator(8000, 1)
        found.tone.play(tones, True)
        found.tone.startTransmit(found.audio)

    def play(self, *, call: int, path: str) -> None:
        """Say what is in a WAV file, once, in the place of a tone."""
        found = self._live(call)
        found.tone = pj.AudioMediaPlayer()
        found.tone.createPlayer(path, pj.PJMEDIA_FILE_NO_LOOP)
        found.tone.startTransmit(found.audio)

    def record(self, *, call: int, path: str) -> None:
        """Write what is heard."""
        found = self._live(call)
        found.recorder = pj.AudioMediaRecorder()
        found.recorder.createRecorder(path)
        found.audio.startTransmit(found.recorder)

    def stop_recording(self, *, call: int) -> None:
        """Close the recording."""
        self.calls[call].recorder = None

    def unregister(self) -> None:
        """Be unreachable."""
        self.account.setRegistration(False)

    def _live(self, number: int) -> Call:
        call = self.calls[number]
        if call.over:
            raise RuntimeError("the call is over")
        return call


ORDERS = frozenset(
    {"open", "dial", "answer", "hang_up", "hold", "press", "tone", "play", "record", "stop_recording", "unregister"}
)


def _begin() -> Any:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.medConfig.threadCnt = 1
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    config.medConfig.clockRate = 8000
    # The null device is the clock of all sound: closed when idle, later calls would be silent, keys included.
    config.medConfig.sndAutoCloseTime = -1
    endpoint.libInit(config)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 200 if codec.codecId.startswith("PCMU") else 0)
    return endpoint


def main() -> None:
    """Serve the parent until it says quit or goes away."""
    orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            orders.put(json.loads(line))
        orders.put(None)

    threading.Thread(target=read, daemon=True).start()
    endpoint = _begin()
    phone = Phone(endpoint)
    tell(event="begun")
    while True:
        endpoint.libHandleEvents(5)
        while not orders.empty():
            order = orders.get()
            if order is None or order["do"] == "quit":
                _end(endpoint, phone)
                return
            _obey(phone, order)


def _obey(phone: Phone, order: dict[str, Any]) -> None:
    number, name = order.pop("id"), order.pop("do")
    try:
        if name not in ORDERS:
            raise ValueError(f"no such order: {name}")
        action: Callable[..., Any] = getattr(phone, name)
        tell(id=number, ok=True, value=action(**order))
    except Exception as error:
        tell(id=number, ok=False, why=getattr(error, "reason", "") or str(error))


def _end(endpoint: Any, phone: Phone) -> None:
    for number in phone.calls:
        with contextlib.suppress(Exception):
            phone.hang_up(call=number)
    with contextlib.suppress(Exception):
        phone.account.setRegistration(False)
    for _ in range(40):
        endpoint.libHandleEvents(5)
    phone.calls.clear()
    phone.account.shutdown()
    endpoint.libDestroy()


if __name__ == "__main__":
    main()
