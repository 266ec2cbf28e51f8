"""Pages for people: signing in, allowing a program to act for them, their account. Rendered here, without a line of script."""
