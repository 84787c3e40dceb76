"""The product's own figures, for Prometheus."""
