"""`gen3r view`: scenes in the browser. `data`, `placement` and `path` say what is shown and know no server."""
