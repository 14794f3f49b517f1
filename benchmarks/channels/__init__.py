"""What each method of cutting costs and brings on trained networks, beside peers: `python -m benchmarks.channels`."""
