"""Container Analysis: notes and occurrences (Grafeas)."""
