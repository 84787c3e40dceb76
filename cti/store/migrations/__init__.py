"""The schema, as numbered SQL files that alembic runs in order."""
