"""Simulation: a day of callers and agents through the production engine (`cti.acd`) on a virtual clock.

`scenario_file` reads what is to be simulated, `traffic` draws the callers (seeded), `floor` lets them meet the engine,
`figures` sums up and `page` prints. Only `traffic` knows chance, and it is done before anything is decided: two
configurations meet the very same callers.
"""
