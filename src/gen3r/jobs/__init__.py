"""Work over many items: on this machine's processes or on a Ray cluster, resumable, each output made once."""

from gen3r.jobs.report import RunReport
from gen3r.jobs.runner import RunOptions, run_jobs
from gen3r.jobs.work import JobItem, Outcome, WorkSpec

__all__ = ["JobItem", "Outcome", "RunOptions", "RunReport", "WorkSpec", "run_jobs"]
