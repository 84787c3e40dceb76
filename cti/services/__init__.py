"""The one owner of calls, agents and queues, and the flows around it.

May import the pure rooms and the journal. Adapters reach it only through `ports` and `floor`; it imports none of them.
"""
