"""The tests: no hardware, minutes."""

# Before NumPy: it keeps its BLAS to one thread.
import device  # noqa: F401
