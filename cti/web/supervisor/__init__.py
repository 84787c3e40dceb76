"""The whole floor at one moment."""
