"""The customer file: search, the sheet of one customer, merges, files in and out, privacy."""
