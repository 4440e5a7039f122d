"""The window that meshes are drawn in: off screen, with lights and a camera; no display needed."""

import importlib.util
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointcmt.errors import InputError

FOV = 30.0  # degrees
DISTANCE = 1 / math.sin(math.radians(FOV) / 2)  # so that the object's sphere fills the frame
LIGHTS = (((-0.6, 0.8, 1.0), 0.85), ((0.8, -0.2, 1.0), 0.35))  # camera axes: position, intensity


@contextmanager
def open_window(size: int, background: float) -> Iterator[Any]:
    """Yield an off-screen plotter with the lights set; close it afterwards."""
    pyvista = require_pyvista()
    with pyvista.vtk_verbosity("off"):  # VTK warns when it finds no display and goes on without
        plotter = pyvista.Plotter(off_screen=True, window_size=(size, size), lighting="none")
        plotter.set_background((background,) * 3)
        for position, intensity in LIGHTS:
            light = pyvista.Light(light_type="camera light", intensity=intensity)
            light.position = position
            plotter.add_light(light)
        plotter.enable_anti_aliasing("ssaa")
        plotter.camera.view_angle = FOV
        try:
            yield plotter
        finally:
            plotter.close()


def can_render() -> bool:
    """Tell whether the `render` extra is installed."""
    return importlib.util.find_spec("pyvista") is not None


def require_pyvista() -> Any:
    """Return pyvista, or raise an `InputError` if the `render` extra is not installed."""
    try:
        import pyvista
    except ImportError as error:
        raise InputError(
            "rendering needs VTK, which is not installed; run: pip install 'pointcmt[render]'"
        ) from error
    return pyvista


def camera_place(view: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where the camera of a view stands, (3,)."""
    return np.asarray(-DISTANCE * view[2])


def shoot(plotter: Any, view: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return (size, size, 3); `view` has the rows right, down and the direction of sight."""
    plotter.camera.position = tuple(camera_place(view))
    plotter.camera.focal_point = (0.0, 0.0, 0.0)
    plotter.camera.up = tuple(-view[1])
    plotter.camera.clipping_range = (DISTANCE - 1.01, DISTANCE + 1.01)
    plotter.render_window.Render()
    return _pixels(plotter.render_window)


def _pixels(window: Any) -> NDArray[np.uint8]:
    """Return (height, width, 3); a screenshot of pyvista's gives the same later."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray

    width, height = window.GetSize()
    found = vtkUnsignedCharArray()
    window.GetPixelData(0, 0, width - 1, height - 1, 0, found, 0)  # from the lowest row up
    return np.asarray(vtk_to_numpy(found)).reshape(height, width, 3)[::-1]
