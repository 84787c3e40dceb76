"""Figures of the past: calls by month, sums by half hour, and the views that people read."""

from cti.store.migrate import run_sql_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0010_reports.sql")
