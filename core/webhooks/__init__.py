"""Webhooks: what is told to whom, signed how, tried when. Rows only: nothing in here speaks HTTP."""
