"""Gaussian processes: fitted in closed-form gradients, with NumPy and SciPy alone."""
