"""Where hardware, or its simulation, meets the pedal."""
