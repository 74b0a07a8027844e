"""
The tests: one module for each module of L{pushprox}, and whole journeys.

Hypothesis is made repeatable here: the same code sees the same examples, so
that a red run can be run again.
"""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
