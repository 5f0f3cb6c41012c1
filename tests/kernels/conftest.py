"""Data that several kernel tests use."""

import numpy as np
import pytest

BCG_YI = [-0.889311333920205, -1.58538865720143, -1.34807314829969, -1.44155119002131, -0.217547322211296,
          -0.786115585818864, -1.62089822359839, 0.0119523335238405, -0.469417648738149, -1.37134480347278,
          -0.339358828338391, 0.445913400571379, -0.0173139482168798]  # fmt: skip
BCG_VI = [0.325584765003961, 0.194581121398144, 0.415367965367965, 0.0200100319022476, 0.0512101721696309,
          0.00690561845590876, 0.223017247572315, 0.00396157929781773, 0.056434210463249, 0.0730247936130289,
          0.0124122139715597, 0.532505845200153, 0.0714046596839863]  # fmt: skip
BCG_LATITUDE = [44, 55, 42, 52, 13, 44, 19, 13, 27, 42, 18, 33, 33]

# Like measurements of Newton's constant: sixteen values that agree to four digits, whose stated variances span
# orders of magnitude and are far too small for their scatter.
GRAVITY_YI = [6.67248, 6.6729, 6.67398, 6.674255, 6.67559, 6.67422, 6.67387, 6.67222, 6.67425, 6.67349, 6.67234,
              6.67554, 6.67191, 6.67408, 6.67435, 6.6740]  # fmt: skip
GRAVITY_SE = [0.00043, 0.0005, 0.0007, 0.000092, 0.00027, 0.00098, 0.00027, 0.00087, 0.00012, 0.00018, 0.00014, 0.00016,
              0.00099, 0.0002, 0.00013, 0.00065]  # fmt: skip


@pytest.fixture
def bcg():
    return np.array(BCG_YI), np.array(BCG_VI)


@pytest.fixture
def latitude():
    return np.column_stack([np.ones(13), BCG_LATITUDE])


@pytest.fixture
def gravity():
    return np.array(GRAVITY_YI), np.array(GRAVITY_SE) ** 2


@pytest.fixture
def ones():
    return lambda k: np.ones((k, 1))
