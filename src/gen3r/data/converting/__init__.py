"""From a dataset as downloaded to clip folders: what converters hand over, and what is done with it."""
