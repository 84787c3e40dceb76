"""FastAGI: the wire, one session a caller, the server; pyst2 for scripts that run one after the other."""
