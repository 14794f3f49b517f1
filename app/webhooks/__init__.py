"""Webhooks of a project: where to, of what, and what came of each message. Sending is the sender's."""
