"""One model a file: its specification, its fit, its result."""
