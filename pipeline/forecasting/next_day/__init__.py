"""Volume of the next trading day."""
