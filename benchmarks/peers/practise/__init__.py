"""PRACTISE, the published depth pruner from few images, on plain modules: `python -m benchmarks.peers.practise`.

Wang and Wu, "Practical Network Acceleration With Tiny Sets", 2023. arXiv:2202.07861. Written from the paper and from
what its published program is known to do: every residual block is tried alone, with trainable 1x1 convolutions around
the gap; blocks that recover well for the time they cost go first, all in one ranking; then all weights are trained.
What differs, and why, is in docs/decisions/0016-the-published-recipe-as-a-peer.md.
"""
