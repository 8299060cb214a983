"""The database target: SQLite and PostgreSQL behind one set of rules."""

from surefoot.targets.database.target import DatabaseTarget

__all__ = ["DatabaseTarget"]
