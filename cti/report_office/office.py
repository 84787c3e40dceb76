"""`cti.services.report_desk.ReportDesk`, out of the figures, the tables, the centre as it is now, and the mail server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date, datetime
from email.utils import parseaddr
from zoneinfo import ZoneInfo

from cti.clock import Clock
from cti.model.centre import Centre
from cti.quality.rows import TeamSummary
from cti.report_office import auditing, planning
from cti.report_office.files import file_of
from cti.report_office.mailing import Mailing
from cti.report_office.request import LONGEST, TEAM_DAY, ReportRequest, days_of, query_of, read_search
from cti.report_office.rhythm import next_due
from cti.report_office.sheet import sheet_of
from cti.report_office.smtp import MailServer
from cti.report_office.team_day import team_of, team_sheet, text_of
from cti.report_office.words import LANGUAGES, day_text, word
from cti.services.own_reports import OwnReports
from cti.services.report_desk import (
    Action,
    ActionState,
    ActionWish,
    Audit,
    DeskRefused,
    FileFormat,
    Goal,
    ReportFile,
    Rhythm,
    SavedReport,
    Schedule,
    ScheduleWish,
    StaffingPlan,
    StaffingQuestion,
)
from cti.services.reporting import Reports
from cti.settings import Mail
from cti.store.report_shelf import DueMail, ReportShelf

MOST_RECIPIENTS = 50
TeamDay = Callable[[date, str, Collection[str] | None], Awaitable[TeamSummary]]
"""What quality says of a team's day (team empty: everybody), of calls of these queues (None: all)."""
_ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


class ReportOffice:
    """Everything that is made of reports. `run` is its background work; without a mail server there is none."""

    def __init__(
        self,
        reports: Reports,
        shelf: ReportShelf,
        *,
        centre: Callable[[], Centre],
        mail: Mail,
        clock: Clock,
        queues_of: Callable[[str], Collection[str] | None] = lambda _user: None,
        team_day: TeamDay | None = None,
    ) -> None:
        """`team_day` tells what quality says of a team's day. `queues_of`: the queues that a user has, None: all. A mail is over those of whoever has it sent, as they are then."""
        self._reports = reports
        self._queues_of = queues_of
        self._team_day = team_day
        self._shelf = shelf
        self._centre = centre
        self._mail = mail
        self._clock = clock
        self._mailing = (
            Mailing(shelf, MailServer(mail), self._letter, zone=lambda: self._centre().time_zone, clock=clock)
            if mail.host
            else None
        )

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        if self._mailing is None:
            await asyncio.Event().wait()
        else:
            await self._mailing.run()

    # -- files

    async def file(
        self, search: str, format: FileFormat, language: str, *, queues: Collection[str] | None = None
    ) -> ReportFile:
        """See `ReportDesk.file`."""
        return await self._file(search, format, language, name="", now=self._clock.now(), queues=queues)

    async def _file(
        self,
        search: str,
        format: FileFormat,
        language: str,
        *,
        name: str,
        now: datetime,
        queues: Collection[str] | None,
    ) -> ReportFile:
        centre = self._centre()
        request = read_search(search)
        language = language if language in LANGUAGES else "en"
        if request.view == TEAM_DAY and self._team_day is not None:
            summary = await self._day(request, now, queues)
            day_sheet = team_sheet(
                summary, name=name, centre=centre, language=language, now=self._clock.now(), queues=queues
            )
            return await asyncio.to_thread(file_of, day_sheet, format, f"{TEAM_DAY}-{summary.day.isoformat()}")
        query = query_of(request, now, centre.time_zone)
        reports = self._reports if queues is None else OwnReports(self._reports, queues, centre)
        report = await reports.query(query)
        sheet = sheet_of(report, request, name=name, centre=centre, language=language, now=self._clock.now())
        first = query.since.astimezone(ZoneInfo(centre.time_zone)).date()
        return await asyncio.to_thread(file_of, sheet, format, f"{request.view or 'report'}-{first.isoformat()}")

    async def _day(self, request: ReportRequest, now: datetime, queues: Collection[str] | None) -> TeamSummary:
        """The day a request is about; of several the last."""
        assert self._team_day is not None
        _, last = days_of(request, now.astimezone(ZoneInfo(self._centre().time_zone)).date())
        return await self._team_day(last, team_of(request), queues)

    async def _letter(self, mail: DueMail) -> tuple[str, str, ReportFile]:
        language = mail.language if mail.language in LANGUAGES else "en"
        # Days such as "yesterday" are meant as of when the mail was due, however late it is made.
        file = await self._file(
            mail.search, mail.format, language, name=mail.name, now=mail.due_at, queues=self._queues_of(mail.author)
        )
        centre = self._centre()
        first, last = days_of(read_search(mail.search), mail.due_at.astimezone(ZoneInfo(centre.time_zone)).date())
        period = day_text(language, first) + ("" if first == last else f" – {day_text(language, last)}")
        parts = [
            word(language, "mail", name=mail.name), word(language, "mail_made", centre=centre.name, period=period),
        ]  # fmt: skip
        if (request := read_search(mail.search)).view == TEAM_DAY and self._team_day is not None:
            parts.append(text_of(await self._day(request, mail.due_at, self._queues_of(mail.author)), centre, language))
        text = "\n\n".join((*parts, word(language, "automatic")))
        return f"{mail.name} – {period}", text + "\n", file

    # -- kept reports

    async def saved(self, user: str) -> Sequence[SavedReport]:
        """See `ReportDesk.saved`."""
        return await self._shelf.saved(user)

    async def save(self, user: str, name: str, search: str, *, shared: bool) -> SavedReport:
        """See `ReportDesk.save`."""
        read_search(search)
        return await self._shelf.save(user, name.strip(), search.removeprefix("?")[:LONGEST], shared=shared)

    async def forget(self, user: str, report_id: int, *, any_owner: bool) -> SavedReport:
        """See `ReportDesk.forget`."""
        found = await self._shelf.one_saved(report_id)
        if found is None or not (found.owner == user or (found.shared and any_owner)):
            raise DeskRefused(
                "unknown_report", "there is no such report of yours", status=404, remedy="reload the page"
            )
        await self._shelf.forget(report_id)
        return found

    # -- schedules

    def mails(self) -> bool:
        """See `ReportDesk.mails`."""
        return self._mailing is not None

    async def schedules(self) -> Sequence[Schedule]:
        """See `ReportDesk.schedules`."""
        return await self._shelf.schedules()

    async def schedule(self, user: str, wish: ScheduleWish, *, schedule_id: int | None = None) -> Schedule:
        """See `ReportDesk.schedule`."""
        self._check(wish)
        report = await self._shelf.one_saved(wish.report_id)
        if report is None or not (report.shared or report.owner == user):
            raise DeskRefused("unknown_report", "there is no such report", status=404, remedy="keep the report first")
        next_at = next_due(wish, self._clock.now(), self._centre().time_zone) if wish.active else None
        kept = await self._shelf.put_schedule(user, wish, next_at, schedule_id=schedule_id)
        if kept is None:
            raise _no_schedule()
        self._look()
        return (await self._shelf.schedules(kept))[0]

    async def unschedule(self, schedule_id: int) -> Schedule:
        """See `ReportDesk.unschedule`."""
        found = await self._shelf.schedules(schedule_id)
        if not found:
            raise _no_schedule()
        await self._shelf.remove_schedule(schedule_id)
        return found[0]

    async def send_now(self, schedule_id: int) -> None:
        """See `ReportDesk.send_now`."""
        if self._mailing is None:
            raise DeskRefused("no_mail", "there is no mail server", status=409, remedy="set mail.host in the settings")
        if not await self._shelf.schedules(schedule_id):
            raise _no_schedule()
        await self._shelf.book_now(schedule_id, self._clock.now())
        self._look()

    def _look(self) -> None:
        if self._mailing is not None:
            self._mailing.look()

    def _check(self, wish: ScheduleWish) -> None:
        days = {Rhythm.DAILY: 1, Rhythm.WEEKLY: 7, Rhythm.MONTHLY: 28}[wish.rhythm]
        if not 1 <= wish.day <= days:
            raise DeskRefused("bad_schedule", f"the day must lie between 1 and {days}", remedy="choose another day")
        if not re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", wish.at):
            raise DeskRefused("bad_schedule", "the time is written as 07:30", remedy="choose another time")
        if wish.language not in LANGUAGES:
            raise DeskRefused("bad_schedule", "there is no such language", remedy="choose en or zh")
        if not 1 <= len(wish.to) <= MOST_RECIPIENTS:
            raise DeskRefused(
                "bad_address", f"1 to {MOST_RECIPIENTS} addresses are needed", remedy="name whom it goes to"
            )
        for address in wish.to:
            if not _ADDRESS.fullmatch(address) or parseaddr(address)[1] != address:
                raise DeskRefused(
                    "bad_address", f"{address[:80]} is no mail address", remedy="write it as name@example.com"
                )
            if self._mail.domains and address.rpartition("@")[2].lower() not in map(str.lower, self._mail.domains):
                raise DeskRefused(
                    "bad_address",
                    f"reports do not go to {address[:80]}",
                    remedy="choose an address of " + ", ".join(self._mail.domains),
                )

    # -- staffing

    async def staffing(self, question: StaffingQuestion) -> StaffingPlan:
        """See `ReportDesk.staffing`."""
        centre = self._centre()
        if question.queue and question.queue not in centre.queues:
            raise DeskRefused("unknown_queue", "there is no such queue", remedy="choose another queue")
        return await planning.staffing(self._reports, question, centre, self._clock.now())

    # -- audit

    async def goals(self) -> Sequence[Goal]:
        """See `ReportDesk.goals`."""
        return [auditing.goal_of(one) for one in await self._shelf.targets() if one.until is None]

    async def set_goal(
        self, user: str, metric: str, queue: str, target: float, tolerance: float
    ) -> tuple[Goal, Goal | None]:
        """See `ReportDesk.set_goal`."""
        auditing.check(metric, queue, self._centre())
        before = next(
            (one for one in await self._shelf.targets() if (one.metric, one.queue, one.until) == (metric, queue, None)),
            None,
        )
        kept = await self._shelf.set_target(user, metric, queue, target, tolerance)
        return auditing.goal_of(kept), None if before is None else auditing.goal_of(before)

    async def drop_goal(self, target_id: int) -> Goal:
        """See `ReportDesk.drop_goal`."""
        found = await self._shelf.drop_target(target_id)
        if found is None:
            raise DeskRefused("unknown_target", "there is no such target", status=404, remedy="reload the page")
        return auditing.goal_of(found)

    async def audit(self, step: str, periods: int) -> Audit:
        """See `ReportDesk.audit`."""
        return await auditing.audit(
            self._reports, await self._shelf.targets(), step, periods, self._centre(), self._clock.now()
        )

    async def actions(self) -> Sequence[Action]:
        """See `ReportDesk.actions`."""
        return await self._shelf.actions(self._today())

    async def act(self, user: str, wish: ActionWish) -> Action:
        """See `ReportDesk.act`."""
        auditing.check(wish.metric, wish.queue, self._centre())
        return await self._shelf.act(user, wish, self._today())

    async def settle(
        self, action_id: int, *, state: ActionState, result: str, owner: str, due: date
    ) -> tuple[Action, Action]:
        """See `ReportDesk.settle`."""
        before = [one for one in await self._shelf.actions(self._today(), action_id) if one.action_id == action_id]
        if not before:
            raise DeskRefused("unknown_action", "there is no such action", status=404, remedy="reload the page")
        if state is not ActionState.OPEN and not result.strip():
            raise DeskRefused("no_result", "what came of it must be told", remedy="write a result")
        after = await self._shelf.settle(
            action_id, state=state, result=result, owner=owner, due=due, today=self._today()
        )
        if after is None:
            raise DeskRefused("unknown_action", "there is no such action", status=404, remedy="reload the page")
        return before[0], after

    def _today(self) -> date:
        return self._clock.now().astimezone(ZoneInfo(self._centre().time_zone)).date()


def _no_schedule() -> DeskRefused:
    return DeskRefused("unknown_schedule", "there is no such schedule", status=404, remedy="reload the page")
