"""A telephony CTI, IVR and ACD server beside Asterisk.

Imports between its rooms point one way; `tests/architecture/house_rules.py` holds the table.
"""
