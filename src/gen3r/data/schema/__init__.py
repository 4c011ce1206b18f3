"""The clip: one scene of a dataset as files any tool can read."""

from gen3r.data.schema.folder import DEPTH_STEPS, clip_folders, read_clip, read_record, write_clip

__all__ = ["DEPTH_STEPS", "clip_folders", "read_clip", "read_record", "write_clip"]
