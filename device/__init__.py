"""What runs while one plays: the audio loop, board, knob, engines, states and meters."""
