"""What is proven on the virtual pedal: a module each, ``run(bench)`` inside the guest."""
