"""Whether a network measures alike however the device is reached."""
