"""Surefoot: one signed release for cloud and devices, the same way every time, with proof."""

__version__ = "0.1.0"
