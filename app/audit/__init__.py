"""The audit log as its readers see it: in pages over HTTP, and verified at the prompt."""
