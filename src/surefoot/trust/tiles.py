"""C2SP tlog-tiles: paths of tiles and entry bundles, and the bytes of both.

Keeps: a tile has at most 256 hashes, a partial one its width in the path; in bundles each entry
has a 16-bit big-endian length before it. Does not: read or write files.
Source: c2sp.org/tlog-tiles.
"""

from __future__ import annotations

from collections.abc import Iterator

from surefoot.trust.merkle import HASH_BYTES, Tree

WIDTH = 256
HEIGHT = 8


def number_path(number: int) -> str:
    """The number in groups of three digits, all but the last with an x: x001/x234/067."""
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    return "/".join(reversed(groups))


def tile_path(level: int, number: int, width: int) -> str:
    """Path of a tile of hashes; `width` below 256 makes it a partial one."""
    return f"tile/{level}/{number_path(number)}{_partial(width)}"


def bundle_path(number: int, width: int) -> str:
    """Path of a bundle of entries."""
    return f"tile/entries/{number_path(number)}{_partial(width)}"


def spans(size: int) -> Iterator[tuple[int, int, int]]:
    """Level, number and width of every tile of a tree of this size, levels from the leaves up."""
    level = 0
    while count := size >> (HEIGHT * level):
        for number in range((count + WIDTH - 1) // WIDTH):
            yield level, number, min(WIDTH, count - number * WIDTH)
        level += 1


def tile_of(tree: Tree, level: int, number: int, width: int) -> bytes:
    """The bytes of a tile."""
    row = tree.levels[HEIGHT * level]
    start = number * WIDTH
    return bytes(row[start * HASH_BYTES : (start + width) * HASH_BYTES])


def bundle_of(leaves: list[bytes]) -> bytes:
    """The bytes of a bundle."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def leaves_of(bundle: bytes) -> list[bytes]:
    """The entries in a bundle. Raises `ValueError` when it ends in the middle of one."""
    leaves, place = [], 0
    while place < len(bundle):
        end = place + 2 + int.from_bytes(bundle[place : place + 2], "big")
        if place + 2 > len(bundle) or end > len(bundle):
            raise ValueError("bundle ends in the middle of an entry")
        leaves.append(bundle[place + 2 : end])
        place = end
    return leaves


def bundle_bytes_max(width: int) -> int:
    """A bundle of this width has no more bytes than this."""
    return width * (2 + 0xFFFF)


def tile_bytes(width: int) -> int:
    """Size of a tile of this width."""
    return width * HASH_BYTES


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
