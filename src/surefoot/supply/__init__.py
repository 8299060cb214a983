"""Where artifacts come from: commits, builds, provenance and bills of materials.

Keeps: a build runs once, in a clean folder, with a small environment; git is read without trusting
the repository's own configuration.
Does not: register releases, or judge what was built.
"""
