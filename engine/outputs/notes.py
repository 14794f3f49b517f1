"""What to know of a further file before it is used, as plain sentences."""

from __future__ import annotations

from collections.abc import Iterator

from engine.report import DataUse, Interval


def on_images(data: DataUse, shown: int) -> Iterator[str]:
    """Say which images showed how large the activations get."""
    if not shown:
        return
    match data.source:
        case "calibration":
            whose = "images of the repair"
        case "mixed":
            whose = "images of the repair, made ones among them"
        case _:
            whose = "made images, for there was no real one: send real ones before you rely on it"
    yield f"Its ranges are those of {shown} {whose}."


def on_gain(ratio: Interval, size_bytes: int, fp32_bytes: int) -> Iterator[str]:
    """Say where the file is no faster, or no smaller, than the network in 32 bits."""
    if ratio.high >= 1:
        verdict = "slower" if ratio.low > 1 else "not surely faster"
        times = f"{ratio.value:.2f} times its time ({ratio.low:.2f} to {ratio.high:.2f})"
        yield f"It is {verdict} than model.onnx here: {times}."
    if size_bytes >= fp32_bytes:
        yield "It is no smaller than model.onnx."
