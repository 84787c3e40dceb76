"""Flows: which there are, their pictures, and where callers give up."""
