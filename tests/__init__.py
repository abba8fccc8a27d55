"""The tests: no hardware, minutes."""
