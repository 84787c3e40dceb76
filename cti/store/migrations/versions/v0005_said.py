"""The views of what callers said in flows: survey answers and recordings."""

from cti.store.migrate import run_sql_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0005_said.sql")
