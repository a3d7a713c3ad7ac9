"""Converts the preprocessed MIMIC-III pickle (im.pk) to the im.npz that `i2m2` reads.

    python scripts/mimic_pickle_to_npz.py im.pk DIR/im.npz

Needs Python 3.8 or newer and numpy, nothing else. The data is credentialed: both files stay on this machine, and
nothing of their content is printed but names and shapes.

Unpickling can run code. This script does not: its unpickler resolves the few names that rebuild numpy arrays of
numbers and refuses every other one, before anything of it is called. If im.pk is refused, do not work around it: ask
the person you have it from for the npz archive (same key names), which needs no conversion.

The output is a plain npz archive with the four arrays that are read; other keys of the pickle are left out.
"""

import argparse
import os
import pickle
import sys
import tempfile

import numpy as np

# Array, and its dimensions after the number of admissions.
ARRAYS = {"ep_tdata": (24, 12), "adm_features_all": (5,), "adm_labels_all": (6,), "y_icd9": (20,)}


def encode(text, encoding="latin1", errors="strict"):
    """Stands in for `_codecs.encode`, which older pickles use to hold bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"expected text in latin1, found {encoding!r}")
    return text.encode("latin1", errors)


def allowed():
    """The names that rebuild arrays of numbers, as old and new versions of numpy spell them."""
    multiarray = getattr(np, "_core", None) or np.core
    names = {("_codecs", "encode"): encode, ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for module in ("numpy.core", "numpy._core"):
        names[module + ".multiarray", "_reconstruct"] = multiarray.multiarray._reconstruct
        names[module + ".multiarray", "scalar"] = multiarray.multiarray.scalar
        names[module + ".numeric", "_frombuffer"] = multiarray.numeric._frombuffer
    return names


class ArraysOnly(pickle.Unpickler):
    """An unpickler that knows no name but those of `allowed`."""

    names = allowed()

    def find_class(self, module, name):
        try:
            return self.names[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused: it asks for {module}.{name}, which no array of numbers needs")

    def persistent_load(self, _):
        raise pickle.UnpicklingError("refused: it asks for an object outside of the file")


def load(path):
    """The four arrays of the pickle, checked."""
    with open(path, "rb") as file:
        # Arrays pickled by Python 2 hold their bytes as text in latin1.
        content = ArraysOnly(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise ValueError(f"expected a dict of arrays, found {type(content).__name__}")
    missing = [name for name in ARRAYS if name not in content]
    if missing:
        raise ValueError(f"expected {', '.join(ARRAYS)}; missing: {', '.join(missing)}")
    arrays = {}
    for name, rest in ARRAYS.items():
        array = np.asarray(content[name])
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name}: expected numbers, found dtype {array.dtype}")
        if array.ndim != 1 + len(rest) or array.shape[1:] != rest:
            raise ValueError(f"{name}: expected shape (N, {', '.join(map(str, rest))}), found {array.shape}")
        if len(array) != len(content["ep_tdata"]):
            raise ValueError(f"{name}: expected {len(content['ep_tdata'])} rows, found {len(array)}")
        if array.dtype.itemsize > 8 or (array.dtype.kind == "f" and array.dtype.itemsize < 4):
            array = array.astype(np.float64)  # half and extended precision have no place in im.npz
        arrays[name] = np.ascontiguousarray(array)
    return arrays


def save(path, arrays):
    """Writes the archive whole or not at all."""
    folder = os.path.dirname(os.path.abspath(path))
    handle, aside = tempfile.mkstemp(dir=folder, suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pickle", help="im.pk, as distributed")
    parser.add_argument("npz", help="where to write im.npz")
    arguments = parser.parse_args()
    try:
        arrays = load(arguments.pickle)
        save(arguments.npz, arrays)
    except (OSError, ValueError, TypeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        sys.exit(f"{arguments.pickle}: {error}")
    for name, array in arrays.items():
        print(f"{name}: {array.shape} {array.dtype}")
    print(f"written: {arguments.npz}; keep it as private as {arguments.pickle}")


if __name__ == "__main__":
    main()
