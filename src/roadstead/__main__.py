"""`python -m roadstead` is the `roadstead` command."""

from roadstead.cli.main import main

if __name__ == "__main__":
    main()
