"""Model folders: layouts, loading, conversion."""
