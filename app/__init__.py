"""The web process: HTTP in, rows and rings out. Never loads torch, onnx or numpy."""
