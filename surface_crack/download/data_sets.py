"""The public data sets: their contents and download addresses.

The addresses are taken from public projects; none could be tested where this was written.
"""

from dataclasses import dataclass

# Mendeley redirects to its own bucket. The Hugging Face hub redirects to storage hosts that vary,
# all below hf.co or (earlier) huggingface.co.
ALLOWED_HOSTS = (
    "data.mendeley.com",
    "prod-dcd-datasets-public-files-eu-west-1.s3.eu-west-1.amazonaws.com",
    "huggingface.co",
    "hf.co",
    "digitalcommons.usu.edu",
)


@dataclass(frozen=True)
class RemoteFile:
    """One file of a mirror. `urls` are alternatives: after a 404 the next one is tried."""

    urls: tuple[str, ...]
    size: int | None = None  # bytes
    sha256: str | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set's contents and its addresses."""

    name: str
    negative: tuple[str, ...]  # names of the class folders, as in params.yaml
    positive: tuple[str, ...]
    counts: tuple[int, int]  # images in the `negative` folders, in the `positive` folders
    mirrors: tuple[tuple[RemoteFile, ...], ...]  # in the order tried; several files make one zip
    by_hand: str  # page to download it from in a browser
    disk_mb: int  # MB of disk needed during the download


_MENDELEY = "https://data.mendeley.com/public-files/datasets/5y9wdsg2zt/files"
_HUB = (
    "https://huggingface.co/datasets/mohammadnajeeb/concrete_crack_images/resolve/"
    "897883867b6cb1059b7a4b44fe2689e6a7944386/data"
)
METU = DataSet(
    name="metu",
    negative=("Negative",),
    positive=("Positive",),
    counts=(20_000, 20_000),
    mirrors=(
        (
            RemoteFile(  # the original, a RAR
                (f"{_MENDELEY}/8a70d8a5-bce9-4291-bab9-b48cfb3e87c3/file_downloaded",),
                size=241_363_336,
                sha256="08d7dc505a4f5a0330cee2fa2a1ae4b5b4f98bcffd0549b774caf7959bb1f02f",
            ),
        ),
        (
            RemoteFile((f"{_HUB}/train.zip",)),
            RemoteFile(  # the name is uncertain: one public script uses the first of these
                (f"{_HUB}/validation.zip", f"{_HUB}/valid.zip", f"{_HUB}/val.zip")
            ),
            RemoteFile(
                (f"{_HUB}/test.zip",),
                size=49_121_094,
                sha256="c6471f0341ad169c37f52058405661ac06f495438744c67be208fc110cd218c6",
            ),
        ),
    ),
    by_hand="https://www.kaggle.com/datasets/arunrk7/surface-crack-detection (needs an account)",
    disk_mb=800,
)
_USU = "https://digitalcommons.usu.edu/cgi/viewcontent.cgi"
SDNET = DataSet(
    name="sdnet",
    negative=("Non-cracked", "UD", "UP", "UW"),
    positive=("Cracked", "CD", "CP", "CW"),
    counts=(47_608, 8_484),
    # Two public projects report 528,284,810 bytes, and one of them the SHA-256
    # 617afc07...ebf77331. Not enforced on a single report: the zip's checksums find damage, too.
    mirrors=(
        (RemoteFile((f"{_USU}?filename=2&article=1047&context=all_datasets&type=additional",)),),
    ),
    by_hand="https://digitalcommons.usu.edu/all_datasets/48/",
    disk_mb=550,
)
DATA_SETS = {dataset.name: dataset for dataset in (METU, SDNET)}
