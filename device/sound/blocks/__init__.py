"""The blocks a tone chain is made of: captures, cabinets, effects."""
