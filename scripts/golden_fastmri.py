"""Makes fixtures/golden/fastmri.npz and fastmri_split.sha256.

fastmri.npz:  k-space of 12 x 7 ... 12 x 10, and the centre (6 x 6) of its image by NumPy: padded to 10 columns, centred
              orthonormal inverse FFT, magnitude, phase, and the peak of the whole image.
fastmri_split.sha256: SHA-256 of `id split` lines of scikit-learn's split of fastMRI+'s knee_file_list.csv.

    python scripts/golden_fastmri.py knee_file_list.csv        (numpy, scikit-learn)
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

OUT = Path(__file__).parent.parent / "fixtures" / "golden"


def slices():
    random, arrays = np.random.default_rng(1), {}
    for width in (7, 8, 9, 10):
        kspace = (random.normal(size=(12, width)) + 1j * random.normal(size=(12, width))).astype(np.complex64)
        left = (10 - width) // 2
        padded = np.pad(kspace.astype(np.complex128), ((0, 0), (left, 10 - width - left)))
        image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(padded), norm="ortho"))
        centre = image[3:9, 2:8]
        arrays[f"kspace{width}"] = np.stack([kspace.real, kspace.imag], -1)
        arrays[f"magnitude{width}"] = np.abs(centre).astype(np.float32)
        arrays[f"phase{width}"] = np.angle(centre).astype(np.float32)
        arrays[f"peak{width}"] = np.array([np.abs(image).max()], np.float32)
    np.savez(OUT / "fastmri.npz", **arrays)


def split(path):
    ids = sorted(line.strip() for line in open(path) if line.strip() not in ("", "Knee data"))
    train, rest = train_test_split(ids, test_size=0.3, random_state=0)
    test, valid = train_test_split(rest, test_size=0.5, random_state=0)
    names = {i: "train" for i in train} | {i: "valid" for i in valid} | {i: "test" for i in test}
    print(len(train), len(valid), len(test))
    lines = "".join(f"{i} {names[i]}\n" for i in ids)
    (OUT / "fastmri_split.sha256").write_text(hashlib.sha256(lines.encode()).hexdigest() + "\n")


slices()
split(sys.argv[1])
