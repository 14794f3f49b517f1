"""What is true of a network: its latency, its cost, its likeness to another, and where that was measured."""
