"""The demo centre: what a newcomer finds, and simulated callers and agents over real SIP."""
