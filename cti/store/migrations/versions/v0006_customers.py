"""The customer file: addresses, consent, tags, merges, imports, search."""

from cti.store.migrate import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0006_customers.sql")
