"""What this service offers, before anything is asked of it."""
