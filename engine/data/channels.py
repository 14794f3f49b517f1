"""Colours: when a picture's channels may be converted to the network's, and when that would hide a mistake."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from engine.data.images import Pixels
from engine.errors import CalibrationMismatch
from engine.input_form import InputForm


@dataclass
class ChannelMatcher:
    """Convert pictures to the network's channels, and remember whether any had them to begin with.

    A grey picture among coloured ones is common and is repeated in three channels. A whole set of the wrong kind is
    more likely a mistake: `finish` refuses it unless the recipe names the channel order.
    """

    form: InputForm
    convertible: bool
    unlike: list[str] = field(default_factory=list)
    count: int = 0

    def match(self, pixels: Pixels, name: str) -> Pixels:
        """Return the pixels with the network's number of channels; raises CalibrationMismatch where that cannot be."""
        self.count += 1
        want, found = self.form.channels, pixels.shape[2]
        if not self._order_fits(want) or (want != found and not (self.convertible and want in (1, 3))):
            raise _mismatch(name, found, self.form)
        if not _looks_like(pixels, want):
            self.unlike.append(name)
        return pixels if found == want else _convert(pixels, want)

    def finish(self) -> tuple[str, ...]:
        """Return a note of what was converted; raises CalibrationMismatch if that was all and nobody asked."""
        if not self.unlike or not self.convertible:
            return ()
        kind = "coloured" if self.form.channels == 1 else "grey"
        if len(self.unlike) == self.count and self.form.preprocess.channel_order is None:
            raise CalibrationMismatch(
                f"All {self.count} pictures are {kind}; the network's input '{self.form.name}' takes "
                f"{self.form.channels} channel(s). To convert them, set "
                f'"preprocess": {{"channel_order": "{self.form.channel_order}"}} in the recipe.',
                where=self.unlike[0],
            )
        return (f"converted {len(self.unlike)} of {self.count} pictures that are {kind}",)

    def _order_fits(self, channels: int) -> bool:
        order = self.form.preprocess.channel_order
        return order is None or (order == "GRAY") == (channels == 1)


def _looks_like(pixels: Pixels, channels: int) -> bool:
    """Tell whether the picture is of the network's kind; one that was saved in colour but shows none counts as grey."""
    if channels == 1 and pixels.shape[2] == 3:
        return bool(np.all(pixels == pixels[:, :, :1]))
    return int(pixels.shape[2]) == channels


def _convert(pixels: Pixels, channels: int) -> Pixels:
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, np.newaxis]


def _mismatch(name: str, found: int, form: InputForm) -> CalibrationMismatch:
    order = form.preprocess.channel_order
    asked = f', and the recipe says "channel_order": "{order}"' if order else ""
    return CalibrationMismatch(
        f"Image '{name}' has {found} channel(s); the network's input '{form.name}' takes {form.channels}{asked}. "
        f"Send images of {form.channels} channel(s), or float32 arrays. "
        'The recipe\'s "channel_order" is GRAY for one channel, RGB or BGR for three.',
        where=name,
    )
