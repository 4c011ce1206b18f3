"""What Gen3R reads and hands back: input images, the `Scene`, its point cloud, its files.

Import from the modules (`gen3r.scene.scene.Scene`, `gen3r.scene.images.read_images`, ...); this
package stays empty so that the command line can list export formats without loading torch.
"""
