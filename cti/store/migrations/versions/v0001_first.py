"""The first schema."""

from cti.store.migrate import run_sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0001_first.sql")
