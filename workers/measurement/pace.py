"""How fast a core is just now: how long a short product of matrices takes on it.

Nothing tells a virtual machine that somebody else computes on its core's other thread, nor how far
the core is clocked up; such a product does, in about a millisecond (decision 0017).
"""

import time

import numpy as np

_SIDE = 48  # small enough for BLAS to stay on one thread, and for a core's first cache
_PRODUCTS = 24
_SAMPLES = 12
_TAKEN = 2  # of the sorted samples: some see an interrupt, the quickest may be a fluke


def take_pace_ns() -> float:
    """CPU time of some products in nanoseconds, on the core that this thread is on; NaN if unknown.

    Of several samples a quick one, for what interrupts a sample is not the core's own pace.
    """
    left = np.linspace(-1.0, 1.0, _SIDE * _SIDE, dtype=np.float32).reshape(_SIDE, _SIDE)
    right, product = left.T.copy(), np.empty_like(left)
    samples = []
    for _ in range(_SAMPLES):
        start = time.thread_time_ns()
        for _ in range(_PRODUCTS):
            np.matmul(left, right, out=product)
        samples.append(time.thread_time_ns() - start)
    taken = sorted(samples)[_TAKEN]
    return float(taken) if taken > 0 else float("nan")  # a clock too coarse tells nothing
