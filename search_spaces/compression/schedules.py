"""How the sparsity of a network rises while it trains.

[Zhu2017] Zhu & Gupta, To prune, or not to prune, arXiv 1710.01878, equation 1.
"""


def cubic_sparsity(step: int, begin: int, end: int, final: float, initial: float = 0.0) -> float:
    """`initial` up to step `begin`, `final` from step `end` on, a cubic between [Zhu2017].

    It rises fast at first, while much is redundant, and slowly at the last.
    """
    if end < begin:
        raise ValueError(f"end ({end}) must not lie before begin ({begin})")
    if step >= end:
        return final
    if step <= begin:
        return initial
    remaining = 1.0 - (step - begin) / (end - begin)
    return final + (initial - final) * remaining**3
