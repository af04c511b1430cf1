"""Energy: where watts come from, how they become joules, and how sure one may be of them."""
