"""Second factors, tokens and log-ins of others: what a log-in may do."""

from cti.store.migrate import run_sql_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0015_access.sql")
