"""The page of the studio: one file per part of it, put together in `layout`."""
