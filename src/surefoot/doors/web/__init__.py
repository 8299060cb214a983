"""The web pages: server-rendered, without script, over the same operations as the other doors."""
