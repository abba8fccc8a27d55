"""What a tone, a latent and a morph are: signal units, captures, networks, quality."""
