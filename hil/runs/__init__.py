"""A run of the bench: which stages, on what, side by side, kept as they end, made safe always."""
