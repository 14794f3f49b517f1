"""What processes count, and what they show of the rows, for Prometheus: one table, printed into docs/operations.md."""
