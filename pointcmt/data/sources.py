"""Where the data sets can be had: official addresses first, then public mirrors.

Digests are those that others have published; they belong to one file, and a mirror may hold the
same data packed anew. A file without a published digest is recorded at its first download.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One address of an archive.

    Attributes:
        url: http or https; the file's name ends it.
        digest: `md5:...` or `sha256:...` of the archive, or None where nobody published one.
    """

    url: str
    digest: str | None = None


@dataclass(frozen=True)
class DataArchive:
    """One data set as it is distributed: an archive that unpacks to a folder.

    Attributes:
        name: what `pointcmt-data download` takes.
        about: one line for `pointcmt-data list`.
        folder: the folder that holds the unpacked files, under the data root.
        marker: a glob that must match in that folder, or the archive is another one.
        page: where a person finds the data, its terms and the way to ask for it.
        sources: tried in this order.
        gigabytes: size of the archive, rounded up, or None where it is not known; for the check of
            the disk, and to refuse a file that is much longer.
    """

    name: str
    about: str
    folder: str
    marker: str
    page: str
    sources: tuple[Source, ...]
    gigabytes: float | None


STANFORD = "https://shapenet.cs.stanford.edu/media/"
MIRROR = "https://huggingface.co/datasets/zhangtao-whu/point_cloud_datasets/resolve/main/pcm/"

ARCHIVES: dict[str, DataArchive] = {
    archive.name: archive
    for archive in (
        DataArchive(
            "modelnet40",
            "ModelNet40, 12,308 clouds of 2,048 points with normals (HDF5)",
            "modelnet40_ply_hdf5_2048",
            "ply_data_train*.h5",
            "https://modelnet.cs.princeton.edu",
            (
                Source(
                    f"{STANFORD}modelnet40_ply_hdf5_2048.zip",
                    "md5:c9ab8e6dfb16f67afdab25e155c79e59",
                ),
                Source(
                    "https://huggingface.co/datasets/Msun/modelnet40/resolve/main/"
                    "modelnet40_ply_hdf5_2048.zip",
                    "md5:5ae9e37d1527ff1500e41a7e9e2d50e4",
                ),
                Source(
                    "https://github.com/ma-xu/pointMLP-pytorch/releases/download/"
                    "Modenet40_dataset/modelnet40_ply_hdf5_2048.zip"
                ),
                Source(f"{MIRROR}modelnet40_ply_hdf5_2048.zip"),
            ),
            0.5,
        ),
        DataArchive(
            "modelnet40-normal",
            "ModelNet40, 12,311 clouds of 10,000 points with normals (text)",
            "modelnet40_normal_resampled",
            "modelnet40_train.txt",
            "https://modelnet.cs.princeton.edu",
            (
                Source(f"{STANFORD}modelnet40_normal_resampled.zip"),
                Source(
                    "https://huggingface.co/datasets/Pointcept/"
                    "modelnet40_normal_resampled-compressed/resolve/main/"
                    "modelnet40_normal_resampled.tar.gz",
                    "md5:46ed374f8ef5f7504ec4870298772ac2",
                ),
                Source(f"{MIRROR}modelnet40_normal_resampled.zip"),
            ),
            1.8,
        ),
        DataArchive(
            "modelnet40-meshes",
            "ModelNet40, the original 12,311 meshes (OFF)",
            "ModelNet40",
            "*/train/*.off",
            "https://modelnet.cs.princeton.edu",
            (
                Source(
                    "http://modelnet.cs.princeton.edu/ModelNet40.zip",
                    "md5:79bcee68fdf02f581938ba15f4cdca51",
                ),
            ),
            2.1,
        ),
        DataArchive(
            "modelnet10-meshes",
            "ModelNet10, the original 4,899 meshes (OFF)",
            "ModelNet10",
            "*/train/*.off",
            "https://modelnet.cs.princeton.edu",
            (
                Source(
                    "http://3dvision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip",
                    "md5:18f4c73879802c35aa6178f8e773a99e",
                ),
                Source("http://vision.princeton.edu/projects/2014/3DShapeNets/ModelNet10.zip"),
            ),
            0.5,
        ),
        DataArchive(
            "modelnet40-views",
            "ModelNet40, 20 rendered views of each mesh (PNG, RotationNet's)",
            "modelnet40v2png_ori4",
            "*/train/*_001.png",
            "https://github.com/kanezaki/pytorch-rotationnet",
            (Source("https://data.airc.aist.go.jp/kanezaki.asako/data/modelnet40v2png_ori4.tar"),),
            None,
        ),
        DataArchive(
            "scanobjectnn",
            "ScanObjectNN, all variants (HDF5); its terms ask you to fill in the form on its page",
            "h5_files",
            "main_split/*.h5",
            "https://hkust-vgd.github.io/scanobjectnn/",
            (
                Source(
                    "https://hkust-vgd.ust.hk/scanobjectnn/h5_files.zip",
                    "md5:36876af479f9ad39abad5ebcd89038dd",
                ),
            ),
            13.2,
        ),
        DataArchive(
            "scanobjectnn-objects",
            "ScanObjectNN, raw objects with colour (.bin); the same terms",
            "object_dataset",
            "*/*.bin",
            "https://hkust-vgd.github.io/scanobjectnn/",
            (Source("https://hkust-vgd.ust.hk/scanobjectnn/raw/object_dataset.zip"),),
            None,
        ),
        DataArchive(
            "shapenetpart",
            "ShapeNetPart, 16,881 clouds with normals and parts (text)",
            "shapenetcore_partanno_segmentation_benchmark_v0_normal",
            "synsetoffset2category.txt",
            "https://shapenet.org",
            (Source(f"{STANFORD}shapenetcore_partanno_segmentation_benchmark_v0_normal.zip"),),
            0.8,
        ),
        DataArchive(
            "shapenetpart-hdf5",
            "ShapeNetPart, 16,881 clouds of 2,048 points with parts (HDF5)",
            "hdf5_data",
            "ply_data_train*.h5",
            "https://shapenet.org",
            (Source(f"{STANFORD}shapenet_part_seg_hdf5_data.zip"),),
            0.4,
        ),
    )
}
