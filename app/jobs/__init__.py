"""One recipe on one model: asked for, followed, cancelled, tried again, forgotten."""
