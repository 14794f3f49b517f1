"""What depth pruning costs and brings on trained networks, beside peers: `python -m benchmarks.depth`."""
