"""The steps of normalising, one a file; `engine.graph.normalise` tells the story."""
