"""Which bridge owns the floor: a lease with a rising number."""

from cti.store.migrate import run_sql_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0016_standby.sql")
