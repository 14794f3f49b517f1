"""What an ONNX file has to pass before anything is built from it, from raw bytes to sizes that fit each other."""
