"""What torch is needed for: exported programs and bare weights become ONNX, once, at the door."""
