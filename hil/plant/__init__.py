"""The plant: chamber, supply and pedal as one lumped thermal-electrical model in virtual time."""
