"""Whether the process lives, whether it can serve calls, and its figures."""
