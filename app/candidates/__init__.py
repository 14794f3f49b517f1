"""The networks of a front, side by side."""
