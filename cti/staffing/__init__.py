"""How many agents are needed: queueing formulas, demand out of history, and the number that meets a target. Pure."""
