"""Quality: forms, samples, scores, coaching, targets and what is done about them."""

from cti.store.migrate import run_sql_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0012_quality.sql")
