"""The built pages and their assets."""
