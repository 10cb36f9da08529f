"""How much going away from the reference costs: Ziegler's controller, which keeps the divergence near a target."""

LEAST, MOST = -0.2, 1.0
"""However far off the divergence is, it counts as this share of the target.

Ziegler takes 0.2 for both. Here the cost may rise faster than it falls: a short run has few rounds to come back in.
"""


def adapt_coefficient(coefficient: float, divergence: float, target: float, share: float) -> float:
    """The coefficient, higher where the divergence is above the target, lower where it is below.

    `share` says how much of a full correction this is: the responses that were seen by those that a full one takes.
    """
    error = min(max(divergence / target - 1, LEAST), MOST)
    return coefficient * (1 + error * min(share, 1.0))
