"""The limits once more, one function each: a problem and its solution in, what is broken out. In exact arithmetic.

Shares no code with the formulation on purpose: an error there must not excuse itself here.
"""
