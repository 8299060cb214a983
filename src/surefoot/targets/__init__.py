"""Targets: what deployments change, one driver a kind: processes, databases, fleets of devices.

Keeps: one contract (`core.target`): observe, plan, apply with a fencing token and a receipt; each
driver passes the shipped conformance suite. Siblings share `words` and nothing else.
Does not: know releases, people or approvals.
"""
