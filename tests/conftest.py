"""Shape annotations of the package are checked while testing, and only then. Nothing may import it before this."""

import os

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("gen3r", "beartype.beartype")

# A shared or busy machine must not fail a law by being slow; the build server must try the same examples every time.
settings.register_profile("gen3r", deadline=None, max_examples=30, derandomize="CI" in os.environ)
settings.load_profile("gen3r")
