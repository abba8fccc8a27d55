"""The bench's instruments: a protocol each, and drivers that speak what the maker's manual says."""
