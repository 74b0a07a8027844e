"""
What the two programs cost, beside HAProxy in the same run: C{python -m
benchmarks}.

The programs are measured from outside, as their users run them. Nothing here
knows what is inside of C{pushprox}, and nothing there knows of this.
"""
