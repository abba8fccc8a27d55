"""How a model becomes an engine on this device: export, calibrate, compile, verify."""
