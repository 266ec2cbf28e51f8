"""`roadstead proxy`: Google's names lead to one Roadstead on whichever port, for clients that take a proxy (contract.md, mode D)."""
