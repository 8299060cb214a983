"""The resilience gate: bounded abuse of a service, judged by a client that does no harm."""
