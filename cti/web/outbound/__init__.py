"""What dialling out costs."""
