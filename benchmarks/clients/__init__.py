"""Clients that strangers' generators make from the service's document, and the linter that reads it."""
