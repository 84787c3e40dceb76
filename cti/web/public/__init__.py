"""What anyone may ask: the centre's name and numbers, a line for a call from the browser."""
