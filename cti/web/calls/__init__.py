"""Past calls."""
