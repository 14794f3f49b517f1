"""Uploaded networks, each under a name."""
