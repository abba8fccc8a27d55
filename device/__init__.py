"""What runs while one plays: the audio loop, board, knob, engines, states and meters."""

import os

# NumPy's BLAS keeps a pool of threads that spin for work: on a machine that is busy they make
# preparing a preset several times as long, and on stage they would take cores from the sound. It
# reads this once, when NumPy is first imported, which is behind this line.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# ONNX Runtime would start a thread that reports home, and keep a number for the machine. A pedal
# has no network and nothing to tell.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
