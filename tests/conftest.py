"""Shape annotations of the package are checked while testing, and only then. Nothing may import it before this."""

from jaxtyping import install_import_hook

install_import_hook("gen3r", "beartype.beartype")
