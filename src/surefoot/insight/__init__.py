"""Insight: views over the whole history.

Keeps: it reads; every answer names the journal size it was made from.
Does not: write facts. It is empty in this version; histories are answered by `app`.
"""
