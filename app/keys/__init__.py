"""API keys of a project, kept by its admins."""
