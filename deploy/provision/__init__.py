"""From a bare machine to a playing pedal: a table of steps, each with a question and an action."""
