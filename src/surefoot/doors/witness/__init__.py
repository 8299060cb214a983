"""The door of a witness, a program of its own on another machine: C2SP add-checkpoint over HTTP.

Source: c2sp.org/tlog-witness.
"""
