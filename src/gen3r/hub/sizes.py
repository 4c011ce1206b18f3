"""Bytes in words."""


def in_gigabytes(count: int) -> str:
    """Bytes as a person reads them: ``11.4 GB``, ``254 MB`` or ``3 kB`` (powers of 1000, as disks are sold)."""
    for unit, scale, digits in (("GB", 10**9, 1), ("MB", 10**6, 0), ("kB", 10**3, 0)):
        if count >= scale:
            return f"{count / scale:.{digits}f} {unit}"
    return f"{count} B"
