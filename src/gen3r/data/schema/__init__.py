"""The clip: one scene of a dataset as files any tool can read."""

from gen3r.data.schema.files import ClipFiles, FolderFiles
from gen3r.data.schema.folder import clip_folders, read_clip, read_record, write_clip
from gen3r.data.schema.record import DEPTH_STEPS, ClipRecord
from gen3r.data.schema.stored import StoredClip
from gen3r.data.schema.writer import ClipWriter

__all__ = [
    "DEPTH_STEPS",
    "ClipFiles",
    "ClipRecord",
    "ClipWriter",
    "FolderFiles",
    "StoredClip",
    "clip_folders",
    "read_clip",
    "read_record",
    "write_clip",
]
