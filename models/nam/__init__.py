"""Neural Amp Modeler captures (.nam): read, checked, and turned into streaming ONNX."""
