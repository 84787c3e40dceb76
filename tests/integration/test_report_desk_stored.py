"""What is made of reports, over the real figures: every standing report as every file, plans and the audit."""

from __future__ import annotations

import pytest

from cti.report_office.office import ReportOffice
from cti.services.report_desk import FileFormat, StaffingQuestion, Verdict
from cti.settings import Mail
from cti.staffing.need import Target
from cti.store.pool import open_pool
from cti.store.report_shelf import ReportShelf
from cti.store.reports import StoredReports
from tests.support.fake_floor import StandingClock
from tests.support.postgres import database, migrated, postgres_server  # noqa: F401 - fixtures
from tests.support.report_house import NOW, furnish, report_centre

pytestmark = [pytest.mark.real, pytest.mark.beside]

SEARCHES = (
    "view=today&period=today&by=half_hour&metrics=offered,answered,abandoned,service_level,asa,aht,occupancy&compare=week_before",
    "view=queues&period=this_week&by=queue&metrics=offered,short_abandons,sent_elsewhere,wait_inside&queue=vip,-",
    "view=agents&period=last_week&by=agent,day&metrics=handled,aht,signed_in_time,not_ready_share,csat&compare=previous",
    "view=week_map&period=last_28&by=weekday_hour&metrics=offered,service_level&tier=gold",
    "view=menus&period=last_90&by=&metrics=inbound,self_service_share,menu_hang_ups",
    "view=complaints&period=last_month&by=week&metrics=complaints,complaint_rate,first_contact_resolution,repeat_rate",
)


async def test_standing_reports_plans_and_audit_over_real_figures(migrated: str) -> None:  # noqa: F811
    centre, clock = report_centre(), StandingClock(NOW)
    pool = await open_pool(migrated)
    try:
        reports = StoredReports(pool, lambda: centre, clock=clock)
        office = ReportOffice(reports, ReportShelf(pool), centre=lambda: centre, mail=Mail(), clock=clock)
        for search in SEARCHES:
            for format in FileFormat:
                assert (await office.file(search, format, "zh")).content
        for queue in ("", "vip"):
            question = StaffingQuestion(
                queue=queue, weekday=1, weeks=8, growth=1.0, target=Target(), learn_patience=True
            )
            plan = await office.staffing(question)
            assert len(plan.plan.slots) == len(plan.present) == 48
        await furnish(office)
        for step in ("day", "week", "month"):
            found = await office.audit(step, 4)
            assert len(found.rows) == 10
            empty = [cell for row in found.rows if row.metric != "complaint_rate" for cell in row.cells]
            assert {cell.verdict for cell in empty} == {Verdict.NONE}
    finally:
        await pool.close()
