"""The demonstration: the main job on a real product, by the commands and the API a user has.

It is a user of the product, not a part of it: it starts the server, the devices and the clients as
processes and calls `surefoot`. Imports nothing of the house but the formats a stranger would read.
"""
