"""The durable log of facts. `codec` and `errors` are pure; the rest is files and one writer thread.

May import the model and nothing above it.
"""
