"""Commands around the pedal: offline rendering, benchmark, riff, report."""
