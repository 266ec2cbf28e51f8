"""The statements of the analysis room."""
