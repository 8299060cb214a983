"""The command line: nouns, then verbs, from one table of commands; a client of the API.

Keeps: help in an instant, because nothing is imported that the typed command does not need.
Does not: hold a rule. What it does on this machine alone goes through `compose`.
"""
