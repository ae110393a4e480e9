"""addr."""
