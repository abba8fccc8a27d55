"""The suites: what is asked of the pedal on the bench, and how it is measured."""
