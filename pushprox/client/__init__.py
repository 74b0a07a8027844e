"""
The client: it polls the proxy, scrapes its targets and pushes the answers.
"""
