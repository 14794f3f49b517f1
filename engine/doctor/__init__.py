"""The calibration doctor: what is wrong with a set of images for one network, and what would mend it.

It only runs the network forward. A mend is believed where the network is clearly surer of the mended images than of the
same images as they came.
"""
