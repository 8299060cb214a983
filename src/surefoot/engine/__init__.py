"""The engine: finds what can go on and carries it out: look, decide, claim, act, record.

Keeps: the claim is in a signed checkpoint before the act; only `clock` reads the time; no thread
waits for a person.
Does not: choose. What is next is decided by `core`, what it does by the plan.
"""
