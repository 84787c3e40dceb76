"""The ACD: who is served next, and by whom. Pure: inputs and `now` in, decisions out (see `engine.Engine`)."""
