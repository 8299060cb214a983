"""The facade: every command and question, authorised, one short method each.

Doors parse, call an operation, and render what it answers; rules live in `core`, effects in
`engine`. Each operation is registered once; the API's routes, the OpenAPI document and the tests of
the documentation are made from the register.
"""
