"""The bench: instruments, the virtual pedal and the suites that run on them."""
