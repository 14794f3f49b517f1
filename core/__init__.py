"""What the web process and the worker must agree on, and nothing else; imports nothing of ours."""
