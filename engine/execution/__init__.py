"""The ONNX graph run: in PyTorch (trainable) and in ONNX Runtime (as deployed)."""
