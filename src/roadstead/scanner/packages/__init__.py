"""
One module for each package system: `required(path)` says which files it reads, `parse(path, content)` which packages they tell of.

Paths are clean and relative to the image's root. Parsers give nothing for what they do not understand, and raise nothing.
"""
