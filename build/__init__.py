"""How a model becomes an engine: export, calibrate, quantise, check, compile, verify."""
