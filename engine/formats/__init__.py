"""The file formats that go in and come out: one drawer a format, each with load(path) and save(model, path)."""

from engine.formats import onnx

FORMATS = {"onnx": onnx}
