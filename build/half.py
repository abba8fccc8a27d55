"""A graph in half precision: weights and activations fp16, inputs, outputs and norms fp32.

By ONNX Runtime's own converter. Group normalisation stays in fp32 between casts: its variance is a
mean of squares, which is where half precision ends first (the package's authors met NaNs in an
fp16 encoder).
"""

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

KEPT_IN_FP32 = ("InstanceNormalization",)


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in half precision, whose inputs and outputs are still float32."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    half = convert_float_to_float16(
        copy,
        keep_io_types=True,
        op_block_list=list(KEPT_IN_FP32),
        # What lies below the smallest subnormal is zero; the default lifts it to 1e-7.
        min_positive_val=6e-8,
        max_finite_val=65504.0,
    )
    # The converter puts its casts behind everything else.
    OnnxModel(half).topological_sort()
    onnx.checker.check_model(half)
    return half
