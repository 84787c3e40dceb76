"""Who is calling: customers and their numbers in Postgres, asked with a deadline. Never imports another adapter."""
