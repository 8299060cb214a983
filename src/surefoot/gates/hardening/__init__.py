"""Hardening: rules as data about files, kernel, accounts and services, wherever the files are.

Keeps: rules see a `Look` and nothing else; what could not be seen is never good. Does not: judge.
"""
