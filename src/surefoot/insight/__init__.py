"""Insight: what checks found, over time.

Keeps: it reads and computes. Does not: write facts, run a tool, or decide what an entry says.
"""
