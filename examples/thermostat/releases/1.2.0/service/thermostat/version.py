"""What this build of the service is, and which versions of its own API it promises."""

VERSION = "1.2.0"
HTTP = (2, 3)
