"""Is it up, is it ready, how is it doing."""
