"""Pure rules: facts, the world folded from them, and what may be done in it; one file a concept.

Keeps: no sockets, files, processes, clock, randomness or threads. A rule takes the world and an
asker and returns facts, or raises `Refused`; only `fold` changes a world.
Does not: act, store, or know any product.
"""
