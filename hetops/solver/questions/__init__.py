"""Questions about an answer: why this fleet, why no other, why none, at which price. Each is answered by solving again."""
