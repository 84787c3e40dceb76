"""Further columns of the figures."""

from cti.store.migrate import run_sql_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0017_recount.sql")
