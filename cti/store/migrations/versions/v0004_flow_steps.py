"""The view of finished steps of flows."""

from cti.store.migrate import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0004_flow_steps.sql")
