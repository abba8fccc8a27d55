"""The `stage` morph: a small causal network on top of the blend, and what it learns from."""
