"""Scripted softphones over real SIP and RTP (pjsua2), for the demo's callers and agents and for the tests.

Theory of operation: the SIP library wants one thread for everything for the life of the process; whatever is
asked of it is queued there and awaited from asyncio. Each phone has its own local address and port, so a caller can come from the
carrier's address while an agent comes from the local one. Sound goes through a null device: tones are made and heard in memory.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from cti.errors import CtiError

T = TypeVar("T")

MAX_CALLS = 64
"""Calls of all phones of the process at once."""


class PhoneError(CtiError):
    """A softphone could not do what it was asked; the SIP library's reason is in the message."""

    error_id = "phone_failed"


def _library() -> Any:
    try:
        import pjsua2
    except ImportError:
        raise PhoneError("the softphone library is not installed", remedy="pip install 'cti-server[local]'") from None
    return pjsua2


class _SipThread:
    """The thread that owns the SIP library. One a process, for the library cannot be begun twice."""

    def __init__(self) -> None:
        self.pj = _library()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._started = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name="softphones", daemon=True)
        self.endpoint: Any = None

    def start(self) -> None:
        """Begin, once; blocks until the library is up. Raises `PhoneError`."""
        if not self._thread.is_alive():
            self._thread.start()
            atexit.register(self.stop)
        if not self._started.wait(10) or self._failed is not None:
            raise PhoneError(f"the softphones could not start: {self._failed or 'no answer'}")

    def stop(self) -> None:
        """End the library; at the end of the process."""
        self._work.put(None)
        self._thread.join(10)

    def put(self, work: Callable[[], None]) -> None:
        """Run `work` on the thread, soon."""
        self._work.put(work)

    def _main(self) -> None:
        pj = self.pj
        try:
            endpoint = pj.Endpoint()
            endpoint.libCreate()
            config = pj.EpConfig()
            config.uaConfig.threadCnt = 0
            config.uaConfig.mainThreadOnly = True
            config.uaConfig.maxCalls = MAX_CALLS
            config.logConfig.level = 0
            config.logConfig.consoleLevel = 0
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
        except BaseException as error:
            self._failed = error
            self._started.set()
            return
        self.endpoint = endpoint
        self._started.set()
        running = True
        while running:
            endpoint.libHandleEvents(10)
            while not self._work.empty():
                work = self._work.get()
                if work is None:
                    running = False
                    break
                work()
        endpoint.hangupAllCalls()
        for _ in range(10):
            endpoint.libHandleEvents(10)
        endpoint.libDestroy()


@functools.cache
def _sip_thread() -> _SipThread:
    return _SipThread()


class PhoneRoom:
    """Some phones of one event loop; they are gone when the room is left."""

    def __init__(self) -> None:
        self._thread = _sip_thread()
        self._pj = self._thread.pj
        self._loop: asyncio.AbstractEventLoop | None = None
        self.phones: list[Softphone] = []

    async def __aenter__(self) -> PhoneRoom:
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._thread.start)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        phones, self.phones = self.phones, []
        for phone in phones:
            await self.do(phone._close)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                for phone in phones:
                    await phone.all_ended()
        for phone in phones:
            await self.do(phone._drop)
        self._loop = None

    @property
    def endpoint(self) -> Any:
        """The library's endpoint."""
        return self._thread.endpoint

    async def do(self, action: Callable[[], T]) -> T:
        """Run `action` on the library's thread and give its result."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(action())
            except BaseException as error:
                info = getattr(error, "reason", "") or str(error)
                future.set_exception(PhoneError(f"softphone: {info}"))

        self._thread.put(run)
        return await asyncio.wrap_future(future)

    def post(self, action: Callable[[], None]) -> None:
        """Run `action` on the event loop of whoever opened the room."""
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(action)

    async def phone(
        self,
        *,
        user: str,
        password: str = "",
        server: str,
        address: str = "127.0.0.1",
        port: int = 0,
        register: bool = True,
        display: str = "",
    ) -> Softphone:
        """A phone of its own at `address`; `server` is host:port. With `register` it is reachable when this returns."""
        phone = Softphone(self, user=user, server=server)
        await self.do(
            lambda: phone._open(password=password, address=address, port=port, register=register, display=display)
        )
        self.phones.append(phone)
        if register:
            async with asyncio.timeout(10):
                await phone.registered.wait()
        return phone


class Softphone:
    """One phone: an account on a transport of its own."""

    def __init__(self, room: PhoneRoom, *, user: str, server: str) -> None:
        self.room = room
        self.user = user
        self.server = server
        self.registered = asyncio.Event()
        self.incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._account: Any = None
        self._transport = -1
        self._calls: list[PhoneCall] = []

    async def all_ended(self) -> None:
        """Wait until every call of this phone is over."""
        for call in self._calls:
            if not call.over:
                await call.ended.wait()

    def _open(self, *, password: str, address: str, port: int, register: bool, display: str) -> None:
        pj = self.room._pj
        phone = self
        transport = pj.TransportConfig()
        transport.boundAddress = address
        transport.publicAddress = address
        transport.port = port
        transport_id = self.room.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self._transport = transport_id

        class Account(pj.Account):  # type: ignore[misc, name-defined]
            def onRegState(self, prm: Any) -> None:  # noqa: N802 - the library's name
                if prm.code == 200 and prm.expiration > 0:
                    phone.room.post(phone.registered.set)
                else:
                    phone.room.post(phone.registered.clear)

            def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
                call = PhoneCall(phone, call_id=prm.callId, message=str(prm.rdata.wholeMsg))
                phone._calls.append(call)
                call._native.answer(_status(pj, 180))
                phone.room.post(lambda: phone.incoming.put_nowait(call))

        config = pj.AccountConfig()
        config.idUri = f'"{display}" <sip:{self.user}@{self.server}>' if display else f"sip:{self.user}@{self.server}"
        config.regConfig.registrarUri = f"sip:{self.server}" if register else ""
        config.regConfig.registerOnAdd = register
        config.regConfig.retryIntervalSec = 2
        config.sipConfig.transportId = transport_id
        config.mediaConfig.transportConfig.boundAddress = address
        config.mediaConfig.transportConfig.publicAddress = address
        config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_INACTIVE
        if password:
            config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", self.user, 0, password))
        self._account = Account()
        self._account.create(config)

    def _close(self) -> None:
        pj = self.room._pj
        for call in self._calls:
            if not call.over:
                with contextlib.suppress(Exception):
                    call._native.hangup(pj.CallOpParam())
        with contextlib.suppress(Exception):
            self._account.setRegistration(False)

    def _drop(self) -> None:
        for call in self._calls:
            call._drop()
        self._calls.clear()
        with contextlib.suppress(Exception):
            self._account.shutdown()
        self._account = None
        with contextlib.suppress(Exception):
            self.room.endpoint.transportClose(self._transport)

    async def dial(self, number: str, *, headers: dict[str, str] | None = None) -> PhoneCall:
        """Call `number` at the phone's server; gives the call at once, see `PhoneCall.confirmed`."""

        def start() -> PhoneCall:
            pj = self.room._pj
            call = PhoneCall(self, call_id=None, message="")
            self._calls.append(call)
            parameters = pj.CallOpParam(True)
            for name, value in (headers or {}).items():
                header = pj.SipHeader()
                header.hName, header.hValue = name, value
                parameters.txOption.headers.append(header)
            call._native.makeCall(f"sip:{number}@{self.server}", parameters)
            return call

        return await self.room.do(start)

    async def unregister(self) -> None:
        """Be unreachable from now on."""
        with contextlib.suppress(PhoneError):  # it was not registered
            await self.room.do(lambda: self._account.setRegistration(False))


def _complete(path: Path) -> bool:
    """Whether the WAV file's header is written, which is the last thing."""
    with path.open("rb") as file:
        return file.read(12)[8:] == b"WAVE"


def _status(pj: Any, code: int) -> Any:
    parameters = pj.CallOpParam()
    parameters.statusCode = code
    return parameters


class PhoneCall:
    """One call of a softphone."""

    def __init__(self, phone: Softphone, *, call_id: int | None, message: str) -> None:
        pj = phone.room._pj
        self.phone = phone
        self.invite = message
        """The INVITE as received, for its headers."""
        self.confirmed = asyncio.Event()
        self.ended = asyncio.Event()
        self.media = asyncio.Event()
        self.last_status = 0
        self.over = False
        self._audio: Any = None
        self._tone: Any = None
        self._recorder: Any = None
        self._recording: Path | None = None
        outer = self

        class Native(pj.Call):  # type: ignore[misc, name-defined]
            def onCallState(self, prm: Any) -> None:  # noqa: N802
                info = self.getInfo()
                outer.last_status = info.lastStatusCode
                if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
                    phone.room.post(outer.confirmed.set)
                elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
                    outer._silence()
                    outer.over = True
                    phone.room.post(outer.ended.set)

            def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
                info = self.getInfo()
                for media in info.media:
                    if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                        outer._audio = self.getAudioMedia(media.index)
                        phone.room.post(outer.media.set)

        self._native: Any = Native(phone._account) if call_id is None else Native(phone._account, call_id)

    def header(self, name: str) -> str | None:
        """A header of the INVITE that came in, None when it has none."""
        prefix = f"{name.lower()}:"
        for line in self.invite.splitlines():
            if line.lower().startswith(prefix):
                return line.split(":", 1)[1].strip()
        return None

    async def answer(self, status: int = 200) -> None:
        """Answer, or refuse with another status (486 busy, 603 decline)."""
        pj = self.phone.room._pj
        await self.phone.room.do(lambda: self._native.answer(_status(pj, status)))

    async def hang_up(self) -> None:
        """End the call; harmless when it is over."""
        pj = self.phone.room._pj
        with contextlib.suppress(PhoneError):
            await self.phone.room.do(lambda: self._native.hangup(pj.CallOpParam()))

    async def hold(self, held: bool) -> None:
        """Put the other side on hold, or take it back, by re-INVITE."""
        pj = self.phone.room._pj

        def change() -> None:
            if held:
                self._native.setHold(pj.CallOpParam(True))
            else:
                parameters = pj.CallOpParam(True)
                parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
                self._native.reinvite(parameters)

        await self.phone.room.do(change)

    async def press(self, digits: str) -> None:
        """Press keys, sent by RFC 4733."""
        await self.phone.room.do(lambda: self._native.dialDtmf(digits))

    async def play_tone(self, hertz: int, *, seconds: float = 3600.0) -> None:
        """Speak: a tone into the call."""
        pj = self.phone.room._pj

        def start() -> None:
            tone = pj.ToneDesc()
            tone.freq1, tone.freq2, tone.on_msec, tone.off_msec = hertz, 0, 1000, 0
            tones = pj.ToneDescVector()
            tones.append(tone)
            self._tone = pj.ToneGenerator()
            self._tone.createToneGenerator(8000, 1)
            self._tone.play(tones, True)
            self._tone.startTransmit(self._audio)

        await self._with_media(start)

    async def record(self, path: Path) -> None:
        """Hear: write what comes in to a WAV file, complete after `stop_recording`."""
        pj = self.phone.room._pj

        def start() -> None:
            self._recording = path
            self._recorder = pj.AudioMediaRecorder()
            self._recorder.createRecorder(str(path))
            self._audio.startTransmit(self._recorder)

        await self._with_media(start)

    async def stop_recording(self) -> None:
        """Close the recording."""

        def stop() -> None:
            self._recorder = None

        await self.phone.room.do(stop)
        # The library closes the file a little later, on its sound thread.
        async with asyncio.timeout(5):
            while self._recording is not None and not _complete(self._recording):
                await asyncio.sleep(0.01)

    async def _with_media(self, action: Callable[[], None]) -> None:
        async with asyncio.timeout(10):
            await self.media.wait()
        await self.phone.room.do(action)

    def _silence(self) -> None:
        self._tone = None
        self._recorder = None
        self._audio = None

    def _drop(self) -> None:
        self._silence()
        self._native = None
