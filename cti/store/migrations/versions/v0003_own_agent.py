"""The customer's own agent."""

from cti.store.migrate import run_sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0003_own_agent.sql")
