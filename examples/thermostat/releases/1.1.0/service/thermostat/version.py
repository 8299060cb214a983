"""What this build of the service is, and which versions of its own API it promises."""

VERSION = "1.1.0"
HTTP = (1, 2)
