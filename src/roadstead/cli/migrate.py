"""`roadstead migrate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from roadstead import config


def migrate(
    data: Annotated[Optional[Path], typer.Option(help="The server's data folder. [default: data]")] = None,  # noqa: UP045
    config_file: Annotated[Optional[Path], typer.Option("--config", help="TOML file with settings.")] = None,  # noqa: UP045
) -> None:
    """
    Create the database's schema, or bring it to this program's. `serve` does the same when it starts.

    Several nodes may do so at once. A schema newer than the program is refused.
    """
    from roadstead import wiring
    from roadstead.db.migrate import HEAD

    before = wiring.migrate(config.load(config_file, {"data": data}))
    if before == HEAD:
        print(f"The schema is {HEAD} already.")
    else:
        print(f"The schema is now {HEAD}; before there was {before or 'none'}.")
