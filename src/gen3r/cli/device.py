"""The word after ``--device``."""

import torch

AUTO = "auto"


def resolve_device(name: str) -> torch.device:
    """``auto`` takes the first CUDA device if there is one, else the CPU; other words are torch's names of devices.

    Raises:
        ValueError: if the name is unknown or the device is not here.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"--device expects one of {', '.join([AUTO, 'cpu', *cuda])}, got {name!r} ({reason})."
        ) from None
    return device
