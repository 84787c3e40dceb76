"""What the comparison with Asterisk's own app_queue is made of."""
