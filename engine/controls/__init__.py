"""Honest controls: what a network that was found is worth without the weights that it inherited."""
