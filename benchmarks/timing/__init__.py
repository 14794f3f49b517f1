"""How far predicted latencies can be trusted, on a quiet machine and on a busy one: `python -m benchmarks.timing`."""
