"""Music2Latent, the article's network: both tones to latents, one morph back to sound."""
