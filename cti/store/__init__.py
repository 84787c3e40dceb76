"""Postgres: the pool, the migrations, the drain from the journal, the queries. Never imports another adapter."""
