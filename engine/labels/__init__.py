"""Learning from labels: what there is to learn from, images seen a little otherwise, and the training itself."""
