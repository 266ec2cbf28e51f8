"""The one door to SQL: schema, statements and transactions, on SQLite here and PostgreSQL later."""
