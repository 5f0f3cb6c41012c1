"""Functions of a fitted result: diagnostics, resampling and hypotheses; each refits or compares fits."""
