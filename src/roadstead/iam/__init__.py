"""Who may do what: people, service accounts, projects, policies, tokens, and the record of what was done."""
