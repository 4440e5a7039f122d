"""Reading and preparing clouds and meshes without torch; training and serving share it."""

from pointcmt.geometry.clouds import Cloud, require_cloud
from pointcmt.geometry.formats import SUFFIXES
from pointcmt.geometry.formats.names import COLORS, NORMALS, XYZ
from pointcmt.geometry.formats.text import read_rows
from pointcmt.geometry.mesh import MESH_SUFFIXES, Mesh, read_mesh
from pointcmt.geometry.normalize import NORMALIZATIONS, normalize
from pointcmt.geometry.orientation import AXES, half_turn, rotation, turn
from pointcmt.geometry.read import read_cloud, read_names, read_points
from pointcmt.geometry.resample import resample
from pointcmt.geometry.surface import SAMPLERS, sample_mesh, sample_mesh_evenly

__all__ = [
    "AXES",
    "COLORS",
    "MESH_SUFFIXES",
    "NORMALIZATIONS",
    "NORMALS",
    "SAMPLERS",
    "SUFFIXES",
    "XYZ",
    "Cloud",
    "Mesh",
    "half_turn",
    "normalize",
    "read_cloud",
    "read_mesh",
    "read_names",
    "read_points",
    "read_rows",
    "require_cloud",
    "resample",
    "rotation",
    "sample_mesh",
    "sample_mesh_evenly",
    "turn",
]
