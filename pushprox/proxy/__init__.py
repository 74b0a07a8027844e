"""
The proxy: it brings scrapes and polls together.
"""
