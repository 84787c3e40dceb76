"""What supervisors did, and what they are told."""

from cti.store.migrate import run_sql_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0009_supervision.sql")
