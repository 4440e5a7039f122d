"""Pictures for the teacher: read from a folder, and made there once where they can be made."""

from pathlib import Path

from tqdm import tqdm

from pointcmt import ranks
from pointcmt.data import CloudDataset, DecodedViews, RenderedViews, Shapes
from pointcmt.data.tools.viewing import cloud_jobs
from pointcmt.errors import InputError
from pointcmt.views.batch import ViewJob, write_views
from pointcmt.views.pictures import ViewSettings
from pointcmt_training.config import DataConfig, ViewsConfig
from pointcmt_training.together import agreed

MESHES = ("modelnet40-meshes", "modelnet10-meshes")  # `<class>/<split>/<name>.off`, z up


def rendered(
    views: ViewsConfig, data: DataConfig, dataset: CloudDataset, split: str
) -> RenderedViews:
    """Return the pictures of a split's objects, `<class>/<split>/<name>_001.png` in `views.root`.

    Surfaces of clouds, the embedded shapes and ModelNet's meshes are rendered by `views.workers`
    processes of each rank first; pictures that are there stay, so that a second run finds them all.

    Raises:
        InputError: no folder is named, it holds pictures of other settings, an object's mesh or
            picture is missing, a cloud has no surface, or the extra `render` is needed and not
            installed.
    """
    if not views.root:
        raise InputError("views.root is missing: name the pictures' folder, views.root=FOLDER")
    root = Path(views.root)
    jobs = _jobs(views, data, dataset, split)[ranks.rank() :: ranks.world()]
    agreed(lambda: _write(jobs, root, views, dataset), lambda _: None)
    return RenderedViews.of(root, split, dataset)


def kept(dataset: CloudDataset, views: ViewsConfig, data: DataConfig) -> CloudDataset:
    """Return the same data set, whose pictures are decoded once if they fit into `views.cache_gb`.

    All are taken to be as large as those of the first object.
    """
    if not isinstance(dataset.views, RenderedViews) or not len(dataset) or not views.cache_gb:
        return dataset
    if len(dataset) * dataset.views[0].nbytes > views.cache_gb * 1e9:
        return dataset
    folder = Path(data.cache) / "pictures" if data.cache else None
    return dataset.with_views(DecodedViews(dataset.views, folder))


def _write(jobs: list[ViewJob], root: Path, views: ViewsConfig, dataset: CloudDataset) -> None:
    if not jobs:
        return
    workers = max(1, views.workers)
    with tqdm(total=len(jobs), desc="pictures", unit="object", disable=None) as bar:
        report = write_views(jobs, root, _settings(views, dataset), workers, bar.update)
    if report.failed:
        raise InputError(report.failed[0])


def _settings(views: ViewsConfig, dataset: CloudDataset) -> ViewSettings:
    surface = views.kind == "surface"
    return ViewSettings(
        kind="surface" if surface else "render",
        views=views.placed,
        size=views.size,
        up=dataset.up or "y",
        look=views.look,
        points=dataset.points.shape[1] if surface else 0,
    )


def _jobs(views: ViewsConfig, data: DataConfig, dataset: CloudDataset, split: str) -> list[ViewJob]:
    if views.kind == "surface":
        return list(cloud_jobs(dataset, split))
    named = [one.partition("/") for one in dataset.ids]
    stems = [f"{name}/{split}/{stem}" for name, _, stem in named]
    if isinstance(dataset, Shapes):
        return [ViewJob(stem, dataset.mesh(index)) for index, stem in enumerate(stems)]
    if data.name in MESHES:
        return [ViewJob(stem, Path(data.root) / f"{stem}.off") for stem in stems]
    return []
