"""The composition root: builds the bridge from its rooms, runs it, stops it in order.

Order of starting: journal (what was), floor rebuilt from it, web and AGI doors, then the link to Asterisk, whose first
snapshot corrects the floor. Order of stopping: no new work, then the link, then the journal's last fsync.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import version
from zoneinfo import ZoneInfo

import structlog

from cti.asterisk.agi.scripts import ScriptFolder, ScriptRunner
from cti.asterisk.agi.server import AgiServer
from cti.asterisk.ami.adapter import AmiTelephony
from cti.asterisk.ami.client import AmiLink
from cti.asterisk.ami.translate import accounts_of
from cti.asterisk.life import AsteriskLife
from cti.asterisk.reload import AsteriskFollower
from cti.asterisk.render import run_folder
from cti.centre_file import parse_centre, read_text
from cti.centre_versions import FOLDER, CentreVersions
from cti.certificates import Certificates, encrypted, reached_by_https
from cti.clock import SteadyClock
from cti.crm.casework import CaseOffice
from cti.crm.directory import CustomerDirectory
from cti.crm.numbers import normalise
from cti.crm_rooms import OutsideCrmWork
from cti.customer_rooms import CustomerWork
from cti.entry import Doors
from cti.errors import CtiError
from cti.floor_rooms import FloorWork
from cti.heart import Heart, asked_to_end, settle_memory
from cti.ids import NodeName
from cti.journal.writer import JournalWriter
from cti.ledger import ledger_of
from cti.live_configuration import LiveConfiguration
from cti.live_flows import LiveFlows, open_flows
from cti.metrics.heap import give_back
from cti.metrics.loop_lag import watch_loop_lag
from cti.metrics.registry import Metrics
from cti.model import facts as f
from cti.model.ownership import Ownership
from cti.model.signals import Signal
from cti.observe import Observer, TimedJournal, TimedTelephony
from cti.outside.functions import Functions
from cti.outside.services import HttpServices
from cti.page_phone_line import PagePhoneLine
from cti.places import Places
from cti.quality_rooms import QualityWork
from cti.recording_line import RecordingLine
from cti.recording_rooms import RecordingWork
from cti.report_office.office import ReportOffice
from cti.reports.counted import Counted
from cti.reports.rules import rules_of
from cti.reports.slots import day_start
from cti.secrets_file import load_or_make
from cti.services import outbound
from cti.services.acts import JournalActs
from cti.services.announcer import Announcer
from cti.services.dispatcher import Dispatcher
from cti.services.flow_library import SCRIPTS
from cti.services.flow_runner import FlowRunner
from cti.settings import Settings
from cti.sip_guard import SipGuard
from cti.standby import Standby, hung_after
from cti.store.acts import StoredActs
from cti.store.anew import CountsAnew
from cti.store.complaint_times import complaints_since
from cti.store.day_rows import rows_since
from cti.store.drain import Drain
from cti.store.explain import StoredExplanations
from cti.store.flow_traffic import StoredFlowTraffic
from cti.store.migrate import migrate
from cti.store.pool import open_pool
from cti.store.queries import StoredCalls
from cti.store.report_shelf import ReportShelf
from cti.store.reports import StoredReports
from cti.supervision_rooms import emergency_voice
from cti.web.app import build_app
from cti.web.auth.accounts import Accounts
from cti.web.auth.origins import allowed_origins, usual_origin
from cti.web.auth.scopes import queues_of_user
from cti.web.casework.news import teller
from cti.web.deps import ReadyPart, WebDeps, phone_server
from cti.web.doors import open_doors

log = structlog.get_logger(__name__)

JOIN_AGAIN = 3.0
"""Seconds between tries to reach a database that is away at the start."""
SWITCH_SECONDS = 0.0005
"""Longest turn of one thread while another waits for the interpreter. At the default (0.005) the journal's thread, which needs
a few turns for each commit, was measured to take 40 to 350 ms behind a busy event loop, and 7 to 10 ms with this."""
DRAIN_AT_END = 2.0
"""Seconds a stopping bridge gives the last facts to reach the database; the journal keeps the rest."""


def configure_logging(level: str) -> None:
    """JSON lines on standard error: a constant message and fields; who is masked by whoever logs."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


LAST_HOURS = timedelta(hours=2)
"""What belongs to the evening before may be part of what is shown of the last hour."""


async def _join_database(
    dsn: str,
    drain: Drain,
    dispatcher: Dispatcher,
    counted: Callable[[datetime], Awaitable[Sequence[Counted]]],
    anew: CountsAnew,
) -> None:
    """When the database is there: bring its schema up to date, and count the calls of today that it knows."""
    while True:
        try:
            await migrate(dsn)
            break
        except CtiError as error:
            log.warning("database_not_joined", error=error.message)
            await asyncio.sleep(JOIN_AGAIN)

    async def today(*, last: bool) -> None:
        caught_up = await drain.flush(30)
        zone = ZoneInfo(dispatcher.board.centre.time_zone)
        morning = day_start(datetime.now(zone).date(), zone)
        dispatcher.remember(await counted(morning - LAST_HOURS), last=last and caught_up)

    await anew.run(today, lambda: dispatcher.board.tally.asks)


async def _floor_owned(standby: Standby, heart: Heart, stop: asyncio.Event) -> Ownership | None:
    """Stand by until the floor is ours; None: asked to end before."""
    resting = asyncio.create_task(heart.rest())
    settle_memory()  # while there is time: the collection before the first call has that much less to go through
    try:
        return await standby.own(stop)
    finally:
        resting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await resting


async def serve(settings: Settings) -> None:
    """Run the bridge until SIGTERM or SIGINT. Raises `CtiError` when it cannot start."""
    configure_logging(settings.log_level)
    log.info("bridge_starting")
    sys.setswitchinterval(SWITCH_SECONDS)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_end, stop)
    heart = Heart(hung_after(settings))
    places = Places(settings)
    places.make()
    clock = SteadyClock()
    standby = Standby(settings, places, clock) if settings.standby.enabled else None
    ownership = await _floor_owned(standby, heart, stop) if standby is not None else None
    if standby is not None and ownership is None:
        return  # asked to end while another one owned the floor
    text = read_text(places.centre)
    centre = parse_centre(text, source=str(places.centre))
    secrets = load_or_make(settings.data, centre)
    await asyncio.to_thread(
        Accounts.write_first,
        places.accounts,
        secrets.logins,
        centre.agents,
        named=centre.supervisors,
        walls=centre.walls,
        epoch=int(clock.now().timestamp()),
    )
    metrics = Metrics()
    flows, flow_versions = open_flows(places, centre, clock)
    journal = JournalWriter(places.journal)
    pool = await open_pool(settings.database.url)
    directory = CustomerDirectory(pool, region=centre.region, deadline=settings.database.customer_within)
    observer = Observer(metrics)
    link = AmiLink(
        host=settings.asterisk.ami_host,
        port=settings.ports.of("ami"),
        username=settings.asterisk.ami_user,
        secret=secrets.ami,
    )

    def deliver(signal_: Signal) -> None:
        dispatcher.deliver(signal_)
        page_phones.hear(signal_)

    telephony = AmiTelephony(
        link,
        accounts=accounts_of(centre.agents),
        deliver=deliver,
        clock=clock,
        trunk=settings.trunk.name,
        ownership=ownership,
        ahead=clock.ahead,
        life=AsteriskLife(run_folder(settings) / "asterisk.pid", host=settings.asterisk.ami_host),
    )
    page_phones = PagePhoneLine(settings, telephony, names=secrets.sip, clock=clock)
    ledger = ledger_of(settings, places, clock=clock, ahead=clock.ahead)
    http_services = HttpServices(lambda name: dispatcher.board.centre.services.get(name), clock=clock)  # noqa: PLW0108 - the centre may be another by then
    customers = CustomerWork(
        pool,
        region=lambda: dispatcher.board.centre.region,
        retention=settings.retention,
        recordings=places.recordings,
        directory=directory,
        clock=clock,
    )
    crm = OutsideCrmWork(
        directory,
        services=http_services,
        kept=customers.outside,
        journal=journal,
        crm=lambda: dispatcher.board.centre.crm,
        folder=places.run,
        metrics=metrics,
        clock=clock,
    )
    dispatcher = Dispatcher(
        centre,
        node=NodeName(settings.node),
        journal=TimedJournal(journal, metrics),
        telephony=TimedTelephony(telephony, metrics),
        directory=crm.directory,
        clock=clock,
        ledger=ledger,
        normalise=lambda number: normalise(number, dispatcher.board.centre.region),
        flows=flows,
        observe=observer.facts,
    )
    dispatcher.board.tally.closed = observer.call_closed
    acts = JournalActs(journal, clock)
    sounds_kept = RecordingWork(
        settings,
        places,
        pool=pool,
        board=dispatcher.board,
        telephony=telephony,
        journal=journal,
        acts=acts,
        metrics=metrics,
        clock=clock,
    )
    observer.also = sounds_kept.observe
    customers.eraser = sounds_kept.eraser
    began = clock.monotonic()
    facts = journal.recover()
    if facts:
        clock.not_before(facts[-1].at)
    dispatcher.recover(facts)
    sounds_kept.recover(facts)
    telephony.use_accounts(accounts_of(dispatcher.board.centre.agents))
    outbound.open_trunk(dispatcher.board, clock.now(), there=bool(settings.trunk.address))
    if centre.outbound.allow and not settings.trunk.address:
        log.warning("dialling_out_is_off", reason="no_trunk", remedy="set trunk.address to where outside calls go")
    log.info(
        "journal_recovered",
        facts=len(facts),
        calls=len(dispatcher.board.calls),
        seconds=round(clock.monotonic() - began, 3),
    )
    await journal.append([f.BridgeStarted(at=clock.now(), node=NodeName(settings.node), version=version("cti-server"))])
    drain = Drain(
        journal,
        settings.database.url,
        rules=lambda: rules_of(dispatcher.board.centre),
        zone=lambda: dispatcher.board.centre.time_zone,
        allowed=lambda: dispatcher.board.centre.not_ready_allowed,
        ruled_since=lambda: dispatcher.board.tally.ruled_since(),  # noqa: PLW0108 - as above
    )
    anew = CountsAnew(
        settings.database.url,
        rules=lambda: rules_of(dispatcher.board.centre),
        zone=lambda: dispatcher.board.centre.time_zone,
        allowed=lambda: dispatcher.board.centre.not_ready_allowed,
    )
    announcer = Announcer(dispatcher.board, flows.prompts.prompts, clock, dispatcher.promised)
    functions = Functions(lambda name: dispatcher.board.centre.functions.get(name))  # noqa: PLW0108 - as above
    runner = FlowRunner(
        dispatcher,
        flows,
        places.prompts,
        clock=clock,
        services=http_services,
        functions=functions,
        recordings=places.recordings,
    )
    scripts = ScriptRunner()
    doors = Doors(dispatcher, runner, announcer, run_script=ScriptFolder(places.flows / SCRIPTS, scripts).run)
    recording = RecordingLine(
        places.prompt_manifest,
        places.prompts,
        recordings=places.recordings,
        language=lambda: dispatcher.board.centre.languages[0],
        clock=clock,
    )
    handlers = {**doors.handlers(), **recording.handlers()}
    agi = AgiServer(settings.asterisk.agi_host, settings.ports.of("agi"), handlers, meter=observer.agi)

    def readiness() -> Sequence[ReadyPart]:
        state, untaken = journal.state(), drain.trouble()
        return (
            ReadyPart(
                name="asterisk",
                ok=telephony.connected(),
                needed=True,
                detail="" if telephony.connected() else "no link",
            ),
            ReadyPart(name="journal", ok=state.healthy, needed=False, detail=state.trouble),
            ReadyPart(name="database", ok=not untaken, needed=False, detail=untaken),
        )

    staff = dispatcher.board.centre.agents  # with those who talk still, though the file has them no more
    accounts = await Accounts.take_up(
        places.accounts, secrets.logins, staff, clock.now(), named=centre.supervisors, walls=centre.walls
    )
    follower = AsteriskFollower(
        settings, prompts=places.prompts, out=places.asterisk, asterisk=telephony, accounts=secrets.sip
    )
    configuration = LiveConfiguration(
        settings,
        text=text,
        versions=CentreVersions(places.centre, places.data / FOLDER),
        dispatcher=dispatcher,
        flows=flows,
        accounts=accounts,
        accounts_file=places.accounts,
        secrets=secrets,
        telephony=telephony,
        follow=page_phones.followed(follower.follow),
        clock=clock,
        on_region=directory.use_region,
    )
    office = CaseOffice(pool, clock=clock, centre=lambda: dispatcher.board.centre, forget=directory.forget)
    quality = QualityWork(pool, clock=clock, centre=lambda: dispatcher.board.centre)
    reports = StoredReports(
        pool,
        lambda: dispatcher.board.centre,
        behind=lambda: not drain.state().connected,
        lag=drain.lag,
        began=lambda: min((call.started_at for call in dispatcher.board.calls.values()), default=None),
        clock=clock,
    )
    desk = ReportOffice(
        reports,
        ReportShelf(pool),
        centre=lambda: dispatcher.board.centre,
        mail=settings.mail,
        clock=clock,
        queues_of=lambda user: queues_of_user(accounts, dispatcher.board.centre, user),
        team_day=quality.team_day,
    )
    certificates = Certificates(settings, clock) if encrypted(settings) else None
    web = build_app(
        WebDeps(
            floor=dispatcher,
            centre_now=lambda: dispatcher.board.centre,
            centre_of=dispatcher.centre_of,
            configuration=configuration,
            accounts=accounts,
            session_key=secrets.session_key,
            revoked_file=places.revoked,
            phone=phone_server(settings, secrets.sip),
            phone_secrets=page_phones.secrets,
            calls=StoredCalls(pool),
            live=dispatcher.decisions,
            explanations=StoredExplanations(pool),
            reports=reports,
            report_desk=desk,
            flows=flows,
            flow_traffic=StoredFlowTraffic(pool),
            customers=customers.rooms,
            flow_changes=LiveFlows(flows, flow_versions, places.prompts, clock),
            acts=acts,
            recordings=sounds_kept.web,
            stored_acts=StoredActs(pool),
            supervision=dispatcher,
            spending=dispatcher,
            emergency_voice=emergency_voice(places.prompt_manifest, places.prompts),
            casework=office.casework(dispatcher, {"voicemail": places.voicemail, "recording": places.recordings}),
            inspections=quality.rooms,
            contact_queues=settings.contact.queues,
            readiness=readiness,
            prompts=recording.sounds,
            recording_codes=recording.phone,
            metrics=metrics,
            line=dispatcher,
            static=places.static,
            origins=allowed_origins(settings, schemes=("https",) if certificates is not None else ("http", "https")),
            usual_origin=usual_origin(settings, "https" if certificates is not None else "http"),
            secure_cookies=reached_by_https(settings),
            trusted_certificate=certificates is not None and certificates.files.own,
            access=settings.access,
            proxies=settings.network.proxies,
            oidc=settings.oidc,
        )
    )
    office.tell = teller(web)
    owned: list[asyncio.Task[None]] = []
    failed = asyncio.get_running_loop().create_future()

    def own(name: str, work: asyncio.Task[None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and not failed.done():
                error = task.exception() or CtiError(f"{name} ended by itself")
                log.error("part_ended", part=name, error=repr(error))
                failed.set_exception(error)

        owned.append(work)
        work.add_done_callback(ended)

    own("dispatcher", asyncio.create_task(dispatcher.run()))
    try:
        heart.start()
        await agi.start()
        async with open_doors(web, settings, certificates):
            if certificates is not None:
                own("certificate", asyncio.create_task(certificates.watch()))
            if standby is not None:
                own("standby", asyncio.create_task(standby.keep()))
            own("telephony", asyncio.create_task(telephony.run()))
            own("telephones in pages", asyncio.create_task(page_phones.run()))
            own("drain", asyncio.create_task(drain.run()))
            own(
                "database",
                asyncio.create_task(
                    _join_database(settings.database.url, drain, dispatcher, partial(rows_since, pool), anew)
                ),
            )
            own("clock", asyncio.create_task(clock.keep(lambda: not dispatcher.board.calls)))
            own("ledger", asyncio.create_task(ledger.follow(dispatcher.board)))
            own("loop lag", asyncio.create_task(watch_loop_lag(metrics)))
            own("memory", asyncio.create_task(give_back()))
            own("customers", asyncio.create_task(customers.run()))
            own("outside customer system", asyncio.create_task(crm.run()))
            floor_work = FloorWork(
                dispatcher, partial(complaints_since, pool), journal=journal, folder=places.run, clock=clock
            )
            own("live floor", asyncio.create_task(floor_work.run()))
            own("recordings", asyncio.create_task(sounds_kept.run()))
            own("casework", asyncio.create_task(office.run()))
            guard = SipGuard(
                settings, asterisk=telephony, etc=places.asterisk, board=dispatcher.board, metrics=metrics, clock=clock
            )
            own("SIP port", asyncio.create_task(guard.run()))
            own("quality", asyncio.create_task(quality.run()))
            own("report mails", asyncio.create_task(desk.run()))
            own("observer", asyncio.create_task(observer.run(drain)))
            promises = observer.watch_promises(
                StoredExplanations(pool), lambda: dispatcher.board.centre.time_zone, clock
            )
            own("promises", asyncio.create_task(promises))
            settle_memory()
            own("heart", asyncio.create_task(heart.run()))
            log.info("bridge_started", web=settings.ports.of("web"), agi=settings.ports.of("agi"))
            await asyncio.wait({asyncio.create_task(stop.wait()), failed}, return_when=asyncio.FIRST_COMPLETED)
            log.info("bridge_stopping")
    finally:
        heart.stop()
        await agi.close()
        await drain.flush(DRAIN_AT_END)
        for task in reversed(owned):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await crm.close()
        await directory.close()
        await http_services.close()
        functions.close()
        scripts.close()
        await journal.close()
        await pool.close()
        if standby is not None:
            await standby.release()
    if failed.done():
        failed.result()
