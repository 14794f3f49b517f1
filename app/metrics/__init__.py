"""What the web process shows for Prometheus: its requests, and what the rows say of the whole service."""
