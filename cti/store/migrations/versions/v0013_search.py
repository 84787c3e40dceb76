"""Customers: an addition that is sent twice is one."""

from cti.store.migrate import run_sql_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0013_search.sql")
