"""Pure cryptography: canonical JSON, digests, keys, envelopes, Merkle trees, signed notes.

Keeps: bytes in, checked objects out; no sockets, files, clock or randomness. Formats are those of
other people's specifications, so that programs by other authors can check what is made here.
Does not: know facts, releases or people.
"""
