"""Providers of secrets: values encrypted at rest, opened by an environment's runner alone.

Keeps: no value in a log, an error, a fact or a text that can be printed; a read is written to the
journal before the value is opened.
Does not: decide who may set or read.
"""
