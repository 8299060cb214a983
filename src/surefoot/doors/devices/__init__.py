"""The device doors: protocols that devices in the field already speak.

Keeps: a poll writes nothing; reports are kept durably before they are answered.
Does not: judge. Whether an update counts is decided by `core.device`.
"""
