"""The soak: real callers and agents on a whole centre for as long as wanted, faults by a seeded plan, three ledgers compared.

`plan` says which fault comes when, `callers` and `crew` are the people, `stage` the centre, `harm` does the faults and looks how
long each is felt, `ledgers` compares what SIP, Asterisk and Postgres say of every call. `run` is one run of all that.
"""
