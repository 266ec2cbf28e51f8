"""All SQL of the iam room, a file for each noun, as statements compiled once."""
