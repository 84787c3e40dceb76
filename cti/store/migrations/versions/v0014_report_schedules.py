"""Kept reports, their mails, targets of the service audit and corrective actions."""

from cti.store.migrate import run_sql_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0014_report_schedules.sql")
