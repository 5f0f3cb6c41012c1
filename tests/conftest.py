"""What holds for every test: no test is judged by a clock, and each worker keeps to its own core."""

import os

from hypothesis import HealthCheck, settings

# NumPy's threads would compete with the other worker; it reads this when it is first imported, which is later.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("no clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no clock")
