"""Reading and preparing clouds and meshes with numpy alone; training and serving share it."""

from pointcmt.geometry.clouds import CLOUD_SUFFIXES, XYZ, Cloud, require_cloud
from pointcmt.geometry.mesh import MESH_SUFFIXES, Mesh, read_mesh
from pointcmt.geometry.normalize import NORMALIZATIONS, normalize
from pointcmt.geometry.orientation import AXES, rotation, turn
from pointcmt.geometry.read import SUFFIXES, read_cloud, read_points
from pointcmt.geometry.resample import resample
from pointcmt.geometry.surface import SAMPLERS, sample_mesh, sample_mesh_evenly

__all__ = [
    "AXES",
    "CLOUD_SUFFIXES",
    "MESH_SUFFIXES",
    "NORMALIZATIONS",
    "SAMPLERS",
    "SUFFIXES",
    "XYZ",
    "Cloud",
    "Mesh",
    "normalize",
    "read_cloud",
    "read_mesh",
    "read_points",
    "require_cloud",
    "resample",
    "rotation",
    "sample_mesh",
    "sample_mesh_evenly",
    "turn",
]
