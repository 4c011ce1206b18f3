"""The studio: scenes made in a browser or over HTTP, by a queue of jobs that survives restarts."""
