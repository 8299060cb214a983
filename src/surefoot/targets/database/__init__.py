"""The database target: SQLite and PostgreSQL behind one set of rules."""

from surefoot.targets.database.target import DatabaseTarget, capabilities_of

__all__ = ["DatabaseTarget", "capabilities_of"]
