"""The load gate: open-loop requests at a declared rate, judged by limits and by comparison."""
