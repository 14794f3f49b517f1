"""Auto: whole units and channels of groups compete, weighed alike by what is left of the features after repair.

Units are weighed as PRACTISE does, channels chosen as by channel regression; the search takes whatever saves the asked
time with the least harm, so a network with idle channels loses those, and one with idle blocks loses blocks.
"""

from __future__ import annotations

from engine.methods import channel_regression, practise
from engine.pricing.method import Method

METHOD = Method(harm=practise.harm, ranking=channel_regression.ranking)
