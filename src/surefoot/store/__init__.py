"""What is kept beside the journal: databases, blobs, leases, secrets as ciphertext, devices.

Keeps: SQLite and PostgreSQL behind one contract, proven by one suite; all SQL in files of named
statements; a read table can be dropped and made again.
Does not: decide anything.
"""
