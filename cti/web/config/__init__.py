"""The centre's configuration over the API."""
