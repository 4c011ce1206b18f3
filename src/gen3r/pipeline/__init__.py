"""From what the user knows to a scene."""

from gen3r.pipeline.config import PipelineConfig
from gen3r.pipeline.pipeline import Gen3RPipeline
from gen3r.pipeline.request import SceneRequest

__all__ = ["Gen3RPipeline", "PipelineConfig", "SceneRequest"]
