"""How the pedal ships: set-up of a machine, bundles, updates, units, provisioning."""
