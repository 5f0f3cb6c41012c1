"""Numbers only: arrays in, arrays out, effects along the last axis, any number of leading axes."""
