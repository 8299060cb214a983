"""Shipped for tests: fakes, simulators, an outside checker, and the suites that hold contracts.

Keeps: a fake passes the same conformance suite as the real thing.
Does not: belong to a running installation, apart from `kill`, which is off unless asked for.
"""
