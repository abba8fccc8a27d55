"""From weights to ONNX: the encoder and the one-step decoder, written node by node."""

from models.music2latent.graphs.decoder import decoder_onnx
from models.music2latent.graphs.encoder import TONES, encoder_onnx

__all__ = ["TONES", "decoder_onnx", "encoder_onnx"]
