"""What all tables share: the metadata that they are in, and the types of their names and ids."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, String

metadata = MetaData()

Id = BigInteger().with_variant(Integer, "sqlite")
# Compared byte by byte on both engines: names have one order everywhere.
Name = String().with_variant(String(collation="C"), "postgresql")
