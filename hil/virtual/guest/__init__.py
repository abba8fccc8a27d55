"""What runs inside the virtual pedal beside the product: who plays guitar and pulls cables."""
