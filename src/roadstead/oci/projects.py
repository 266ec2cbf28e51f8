"""Projects in the names of repositories."""

from __future__ import annotations


def split_name(name: str) -> tuple[str, str]:
    """`p/a/b` → (`p`, `a/b`); `example.com/p/a` → (`example.com:p`, `a`): a domain-scoped project is written so in images' names."""
    first, _, rest = name.partition("/")
    if "." in first:
        second, _, rest = rest.partition("/")
        return f"{first}:{second}", rest
    return first, rest


def name_prefix(project_id: str) -> str:
    """How the names of a project's repositories begin: `p`, `example.com/p`."""
    return project_id.replace(":", "/")
