"""Who may do what: accounts, sessions, the origin check, the permission table."""
