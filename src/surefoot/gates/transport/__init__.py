"""Transport: what an endpoint offers before anybody has logged in, over TLS and SSH.

Keeps: what was not answered as the protocol says is never good. Does not: judge, log in.
"""
