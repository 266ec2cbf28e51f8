"""What each client must be told of a server, as pure texts: one file for each client. cli/clients.py prints, writes and checks them."""
