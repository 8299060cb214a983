"""The doors: command line, API, pages and device protocols; they parse, ask `app`, and render.

Keeps: no rule and no SQL in a door; doors do not import each other; what they must agree on is in
`words`, `session` and `codes`.
Does not: authorise. A door establishes who asks; `app` says whether they may.
"""
