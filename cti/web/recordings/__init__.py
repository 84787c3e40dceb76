"""Recordings over the API: found, heard, begun, paused."""
