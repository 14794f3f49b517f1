"""The ONNX graph: how it is read, described and edited. Knows onnx_ir and numpy, never torch."""
