"""The REST API: every registered operation over HTTP, signed, bounded, described by OpenAPI.

Keeps: a signature counts once, for this installation, method, path and body; errors are records.
Does not: know an operation by name; routes come from the register.
"""
