"""The virtual pedal: an emulated machine with real kernel drivers, in virtual time."""
