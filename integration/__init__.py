"""
The programs as a user runs them: installed, each a process of its own, on real
ports and in real time, beside Debian's Prometheus and node_exporter.

C{integration/run} sets up all that this needs, and runs it.
"""
