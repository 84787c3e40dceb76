"""What is to be done for customers: tiers by rule, complaints, follow-up calls, tasks, churn."""

from cti.store.migrate import run_sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0007_casework.sql")
