"""Uploaded calibration images, each set under a name."""
