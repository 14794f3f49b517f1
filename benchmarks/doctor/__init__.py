"""Whether the calibration doctor finds what was done to images on purpose, and leaves healthy sets alone."""
