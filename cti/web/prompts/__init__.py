"""Prompts: what callers hear, recorded and taken back from the pages."""
