"""How long the statements of lists and pages take in a PostgreSQL that is full."""
