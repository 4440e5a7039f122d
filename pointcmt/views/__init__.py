"""Images of objects: clouds are projected (torch), meshes are rendered (the `render` extra)."""

from pointcmt.views.cameras import DODECAHEDRON_VIEWS, SIX_VIEWS, look_from, ring
from pointcmt.views.projection import project_color, project_depth

__all__ = [
    "DODECAHEDRON_VIEWS",
    "SIX_VIEWS",
    "look_from",
    "project_color",
    "project_depth",
    "ring",
]
