from cli.conftest import gen3r, model

__all__ = ["gen3r", "model"]
