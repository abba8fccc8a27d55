"""The signal path: blocks, tone chains, the morph, ramps and the guard before the output."""
