"""What ``models.plan`` is made of: the cache of plans, building one, running a pair.

TensorRT and CUDA are handed to these modules; only ``models.plan`` imports them.
"""
