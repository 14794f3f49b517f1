"""What was told of a job, and what its engine wrote, as one text."""
