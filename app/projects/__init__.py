"""Organisations and their projects: who there is, what each may have, and what it has."""
