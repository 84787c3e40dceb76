"""Recordings of calls: where they are, whether they are whole, who listened."""

from cti.store.migrate import run_sql_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0011_recordings.sql")
