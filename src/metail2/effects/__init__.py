"""Effect sizes: the container, the computation, and the measures with their display transforms."""
