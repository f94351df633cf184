"""Whether a latency can be trusted: its scatter, its intervals, the order it puts networks in."""
