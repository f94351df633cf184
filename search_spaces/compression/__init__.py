"""What may be taken out of a network: layers, neurons, heads and single weights."""
