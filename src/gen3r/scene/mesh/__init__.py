"""The surface of a scene as triangles, ready for viewers and physics engines. Needs the extra `mesh`."""

from gen3r.scene.mesh.mesh import Mesh, MeshConfig, NoSurface, Texture
from gen3r.scene.mesh.surface import fuse

__all__ = ["Mesh", "MeshConfig", "NoSurface", "Texture", "fuse"]
