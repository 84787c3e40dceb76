"""The former place of `cti.store.queries.StoredCalls`."""

from cti.store.queries import StoredCalls

__all__ = ["StoredCalls"]
