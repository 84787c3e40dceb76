"""HTTP services that flows ask, named and addressed in centre.yaml."""
