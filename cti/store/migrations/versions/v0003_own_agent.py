"""The customer's own agent."""

from pathlib import Path

from cti.store.migrate import run_sql_file

revision = "0003"
down_revision = "0002" if any(Path(__file__).parent.glob("v0002_*.py")) else "0001"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0003_own_agent.sql")
