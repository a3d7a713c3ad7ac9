"""Makes fixtures/golden/fastmri and fastmri_split.sha256.

fastmri/*.h5:         volumes as h5py writes them, in each way of storing that it offers: 32 rows, widths odd, even and equal
                      to the padded width.
fastmri/slices.npz:   the centre (16 x 16) of their images by NumPy in double precision: padded to 20 columns, centred
                      orthonormal inverse FFT; the peak of the whole image; and the same centre of padded k-space.
fastmri_split.sha256: SHA-256 of `id split` lines of scikit-learn's split of fastMRI+'s knee_file_list.csv.

    python -m venv venv && venv/bin/pip install h5py==3.16.0 numpy==2.4.6 scikit-learn==1.9.1
    venv/bin/python scripts/golden_fastmri.py knee_file_list.csv
"""

import hashlib
import sys
from pathlib import Path

import h5py
import numpy as np
from sklearn.model_selection import train_test_split

ROWS, COLUMNS, SIDE = 32, 20, 16
OUT = Path(__file__).parent.parent / "fixtures" / "golden"
VOLUMES = {
    "contiguous": (17, {}),
    "gzip": (15, {"chunks": (1, ROWS, 15), "compression": "gzip"}),
    "shuffled": (20, {"chunks": (2, 9, 7), "compression": "gzip", "shuffle": True, "fletcher32": True}),
    "chunked": (18, {"chunks": (1, 8, 18)}),
}
AXES = (-2, -1)


def pad(kspace):
    """Pads columns, the odd one to the right."""
    spare = COLUMNS - kspace.shape[-1]
    return np.pad(kspace.astype(np.complex128), ((0, 0), (0, 0), (spare // 2, spare - spare // 2)))


def image(padded):
    """The centred orthonormal inverse transform."""
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(padded, axes=AXES), axes=AXES, norm="ortho"), axes=AXES)


def centre(full):
    top, left = (ROWS - SIDE) // 2, (COLUMNS - SIDE) // 2
    return full[:, top : top + SIDE, left : left + SIDE]


def volumes():
    random, golden = np.random.default_rng(7), {}
    for name, (width, storage) in VOLUMES.items():
        shape = (2, ROWS, width)
        kspace = (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(np.complex64) * np.float32(1e-5)
        rss = np.abs(random.normal(size=(2, SIDE, SIDE))).astype(np.float32) * np.float32(1e-4)
        with h5py.File(OUT / "fastmri" / f"{name}.h5", "w", track_order=False) as file:
            file.create_dataset("ismrmrd_header", data='<?xml version="1.0"?><ismrmrdHeader/>')
            file.create_dataset("kspace", data=kspace, **storage)
            file.create_dataset("reconstruction_esc", data=rss)
            file.create_dataset("reconstruction_rss", data=rss)
            file.attrs["acquisition"] = "CORPD_FBK"
            file.attrs["max"] = float(rss.max())
            file.attrs["norm"] = float(np.linalg.norm(rss))
            file.attrs["patient_id"] = "0" * 64
        padded = pad(kspace)
        for space, full in (("image", image(padded)), ("kspace", padded)):
            golden[f"{name}_{space}_real"] = centre(full).real
            golden[f"{name}_{space}_imaginary"] = centre(full).imag
            golden[f"{name}_{space}_peak"] = np.abs(full).max(axis=AXES)
        golden[f"{name}_rss"] = rss
    np.savez_compressed(OUT / "fastmri" / "slices.npz", **golden)


def split(path):
    ids = sorted(line.strip() for line in open(path) if line.strip() not in ("", "Knee data"))
    train, rest = train_test_split(ids, test_size=0.3, random_state=0)
    test, valid = train_test_split(rest, test_size=0.5, random_state=0)
    names = {i: "train" for i in train} | {i: "valid" for i in valid} | {i: "test" for i in test}
    print(len(train), len(valid), len(test))
    lines = "".join(f"{i} {names[i]}\n" for i in ids)
    (OUT / "fastmri_split.sha256").write_text(hashlib.sha256(lines.encode()).hexdigest() + "\n")


(OUT / "fastmri").mkdir(exist_ok=True)
volumes()
split(sys.argv[1])
