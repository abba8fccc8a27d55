"""Simulated instruments: servers that speak the real wire protocols in front of one plant."""
