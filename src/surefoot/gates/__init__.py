"""Gates: they look and report evidence, one file a kind; a gate never decides.

Keeps: one contract (`core.gate`); what a tool could not look at is said, not passed over. Siblings
share `tool`, `reach` and the looks of `hardening`.
Does not: judge. The verdict comes from `core.gate`.
"""
