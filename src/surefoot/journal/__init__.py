"""The journal: the only writer of facts, with seals, checkpoints, tiles and full verification.

Keeps: commit, then sign, then act; what is committed is never rewritten. SQL stands in named
statements.
Does not: know rules. The world it keeps is made and folded by what the composition gives it.
"""
