"""Sends each request to the pool that the plan chose for it. What decides is pure; sockets stay in the proxy's modules."""
