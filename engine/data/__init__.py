"""Calibration images: read, prepared, split, augmented, or drawn when there are none."""
