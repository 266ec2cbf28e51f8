"""Work for later: rows written in the transaction that causes it, claimed with a lease by a worker."""
