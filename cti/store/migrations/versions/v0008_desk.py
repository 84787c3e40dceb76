"""What agents write and read at their desk."""

from cti.store.migrate import run_sql_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the SQL file of the same number."""
    run_sql_file("0008_desk.sql")
