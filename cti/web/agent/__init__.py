"""What an agent does: state, offers, wrap-up, the phone account."""
