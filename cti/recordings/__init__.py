"""Recordings as files: whether they are whole, sealed, moved, found again, deleted in time."""
