"""The pedal's processes, the link between them and their meters."""
