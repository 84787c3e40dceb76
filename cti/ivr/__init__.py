"""The flow language, from text to effects.

Theory of operation. A flow is a YAML file. `document` turns its text into nodes that know their line and column;
`parser` turns nodes into a frozen `Flow` (or a list of problems); `checker` holds the flow against the centre and the
prompts; `interpreter` walks it: `start` and `advance` return an effect ("play these", "wait for a key", "queue") and
the caller of the interpreter performs it and brings the result back. Nothing here does I/O, reads a clock or raises
because of what a caller did: a hang-up is a result like any other.
"""
