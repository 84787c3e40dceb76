"""Asterisk as an adapter: its configuration, its process and its ledger; `ami` and `agi` speak to it.

May import the pure rooms, the ports of the services and the settings; never another adapter.
"""
