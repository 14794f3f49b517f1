"""Trained networks cut and judged: where their images come from, what a file is worth, and what was found before."""
