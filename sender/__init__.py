"""The sender: delivers what webhooks are to be told, beside web process and workers. Never loads torch or onnx."""
