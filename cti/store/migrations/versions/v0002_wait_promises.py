"""The view of promised waits."""

from cti.store.migrate import run_sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0002_wait_promises.sql")
