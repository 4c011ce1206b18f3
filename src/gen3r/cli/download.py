"""What is told before a model is downloaded."""

from gen3r.cli.terminal import note
from gen3r.hub.cache import repository_folder
from gen3r.hub.registry import find_entry
from gen3r.hub.sizes import in_gigabytes
from gen3r.hub.source import DownloadPlan


def announce_download(plan: DownloadPlan) -> None:
    """Say what will be fetched, how much it is, how much room there is, and under which terms; on stderr."""
    from gen3r.hub.plan import free_bytes

    entry = find_entry(plan.repository)
    licence = "see its page on the hub" if entry is None else entry.licence
    note(f"Fetching {plan.repository} at commit {plan.commit}")
    note(f"  licence   {licence}")
    note(f"  download  {in_gigabytes(plan.missing_bytes)} of {in_gigabytes(plan.total_bytes)}")
    note(f"  disk      {in_gigabytes(free_bytes())} free at {repository_folder(plan.repository)}")
