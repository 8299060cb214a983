"""Rows of words behind commitments, kept beside the journal and deleted when they are erased.

Does not: open a transaction; words come and go in that of the entry that speaks of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from surefoot.store.database import Session
from surefoot.trust.entry import Draft


def keep_words(session: Session, drafts: Iterable[Draft]) -> None:
    """Insert the drafts' words under their commitments, and delete those they erase."""
    for draft in drafts:
        for words in draft.payloads:
            session.run(
                "journal.insert_payload",
                commitment=words.commitment(),
                salt=words.salt,
                content=words.text,
            )
        for commitment in draft.erases:
            session.run("journal.delete_payload", commitment=commitment)
