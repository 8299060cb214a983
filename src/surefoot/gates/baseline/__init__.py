"""Baseline: what is there now against what was approved, entry by entry.

Keeps: both sides are collected by the same version of the same collector; a secret's value is in
neither. Does not: judge, approve.
"""
