#!/usr/bin/env python3
"""Makes fixtures/golden/images/: what Pillow and OpenCV make of images, for src/data/images/.

    python -m venv venv
    venv/bin/pip install pillow==12.2.0 opencv-python-headless==4.11.0.86 numpy==2.4.6 scikit-image==0.26.0 scikit-learn==1.9.1
    venv/bin/python scripts/golden_images.py [SAMPLES]

`cases.json` has digests of 200 random images, resized and augmented. `jpeg/` and `png/` have small files, each with what Pillow
decodes as a PNG (`*.expected.png`). With SAMPLES, that folder gets the photographs of scikit-image and scikit-learn, and
`photographs.json` the digests of what becomes of them; the tests read that folder as I2M2_SAMPLE_IMAGES.
"""

import hashlib
import io
import json
import pathlib
import struct
import sys
import zlib

import cv2
import numpy as np
import skimage
import sklearn
from PIL import Image

OUT = pathlib.Path(__file__).parent.parent / "fixtures/golden/images"
SIDES = (16, 96, 224, 384)


def stream(name, count):
    """Bytes of a named stream: FNV-1a of the name, then a linear congruential generator, upper eight bits."""
    state = 0x811C9DC5
    for byte in name.encode():
        state = (state ^ byte) * 0x01000193 % 2**32
    # Jump ahead in blocks, so that numpy does the work.
    block = 4096
    factors, offsets = np.empty(block, np.uint64), np.empty(block, np.uint64)
    factor, offset = 1, 0
    for i in range(block):
        factor, offset = factor * 1664525 % 2**32, (offset * 1664525 + 1013904223) % 2**32
        factors[i], offsets[i] = factor, offset
    out = np.empty((count + block - 1) // block * block, np.uint8)
    for start in range(0, count, block):
        states = (factors * np.uint64(state) + offsets) % np.uint64(2**32)
        out[start : start + block] = states >> np.uint64(24)
        state = int(states[-1])
    return out[:count]


def random_image(index):
    width, height, *_ = (1 + int(x) % 150 for x in stream(f"sides {index}", 2))
    pixels = stream(f"pixels {index}", width * height * 3).reshape(height, width, 3)
    if index % 3 == 1:  # few dark values: histograms with gaps, channels without black
        pixels = pixels // 9 + np.array([0, 40, 200], np.uint8)
    if index % 3 == 2:  # black and white: overshoots
        pixels = (pixels > 127).astype(np.uint8) * 255
    return np.ascontiguousarray(pixels)


def digest(array):
    height, width, _ = array.shape
    return hashlib.sha256(f"{width} {height} ".encode() + array.astype(np.uint8).tobytes()).hexdigest()


def resized(array, width, height):
    return np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.BICUBIC))


def lookup(image, table):
    return np.stack([np.asarray(table(image[..., c], c), np.uint8)[image[..., c]] for c in range(3)], -1)


def auto_contrast(image, fixed):
    def table(channel, _):
        low, high = int(channel.min()), int(channel.max())
        if low == high:
            return np.arange(256)
        scale = 255 / (high - low)
        negated = -low if fixed else (256 - low) % 256
        return np.trunc(np.clip(np.arange(256) * scale + negated * scale, 0, 255))

    return lookup(image, table)


def equalize(image):
    def table(channel, _):
        histogram = np.bincount(channel.ravel(), minlength=256)
        step = int(histogram[histogram > 0][:-1].sum()) // 255
        if step == 0:
            return np.arange(256)
        before = np.concatenate([[0], np.cumsum(histogram)[:-1]])
        return np.minimum(255, (step // 2 + before) // step)

    return lookup(image, table)


def brightness(image, factor):
    table = np.clip(np.arange(256, dtype=np.float32) * np.float32(factor), 0, 255).astype(np.uint8)
    return table[image]


def sharpness(image, factor, fixed):
    kernel = np.ones((3, 3), np.float32)
    kernel[1, 1] = 5
    blurred = cv2.filter2D(image, -1, kernel / 13).astype(np.float32)
    moved = blurred + np.float32(factor) * (image.astype(np.float32) - blurred)
    moved = np.clip(moved, 0, 255).astype(np.uint8) if fixed else moved.astype(np.int32).astype(np.uint8)
    out = image.copy()
    out[1:-1, 1:-1] = moved[1:-1, 1:-1]
    return out


def warp(image, matrix):
    height, width, _ = image.shape
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(128, 128, 128))


def rotate(image, degrees):
    height, width, _ = image.shape
    return warp(image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1))


def augmented(image):
    single = lambda *values: np.float32(values).reshape(2, 3)
    return {
        "auto-contrast": auto_contrast(image, False),
        "auto-contrast fixed": auto_contrast(image, True),
        "equalize": equalize(image),
        "brightness 1.36": brightness(image, 1.36),
        "sharpness 1.36": sharpness(image, 1.36, False),
        "sharpness 1.36 fixed": sharpness(image, 1.36, True),
        "shear-x 0.21": warp(image, single(1, 0.21, 0, 0, 1, 0)),
        "shear-x -0.21": warp(image, single(1, -0.21, 0, 0, 1, 0)),
        "shear-y 0.21": warp(image, single(1, 0, 0, 0.21, 1, 0)),
        "shear-y -0.21": warp(image, single(1, 0, 0, -0.21, 1, 0)),
        "translate-x 7": warp(image, single(1, 0, -7, 0, 1, 0)),
        "translate-y -7": warp(image, single(1, 0, 0, 0, 1, 7)),
        "rotate 21": rotate(image, 21),
        "rotate -21": rotate(image, -21),
    }


def cases():
    for index in range(200):
        image = random_image(index)
        height, width, _ = image.shape
        targets = [(1 + int(a) % 200, 1 + int(b) % 200) for a, b in stream(f"targets {index}", 4).reshape(2, 2)]
        targets += [(SIDES[index % 4],) * 2, (width, 40), (40, height)]
        entry = {"source": digest(image), "resized": {f"{w}x{h}": digest(resized(image, w, h)) for w, h in targets}}
        if index % 4 == 0:
            entry["augmented"] = {name: digest(out) for name, out in augmented(image).items()}
        yield entry


def photographs():
    packages = [(skimage, "data"), (sklearn, "datasets/images")]
    for package, folder in packages:
        for path in sorted((pathlib.Path(package.__file__).parent / folder).iterdir()):
            if path.suffix in (".png", ".jpg", ".jpeg"):
                yield path


def encoded(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def jpegs(image):
    for quality in (35, 75, 95):
        for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
            for kind in (False, True):
                name_of = f"{name}-q{quality}{'-progressive' if kind else ''}"
                yield name_of, encoded(image, quality=quality, subsampling=subsampling, progressive=kind)
    yield "grey", encoded(image.convert("L"), quality=85)
    yield "cmyk", encoded(image.convert("CMYK"), quality=85)
    yield "rgb", encoded(image, quality=85, keep_rgb=True)
    yield "restart", encoded(image, quality=85, restart_marker_blocks=3)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, extra=b"", interlaced=0):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def interlaced(pixels, pack):
    """Rows of the seven passes."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    parts = [pixels[y::down, x::right] for x, y, right, down in passes]
    return b"".join(b"\0" + pack(row).tobytes() for part in parts if part.size for row in part)


def pngs():
    width, height = 13, 5
    pixels = stream("interlaced", width * height * 3).reshape(height, width, 3)
    yield "rgb-8-interlaced", png(width, height, 8, 2, interlaced(pixels, np.ascontiguousarray), interlaced=1)
    yield "grey-1-interlaced", png(width, height, 1, 0, interlaced(pixels[..., 0] > 127, np.packbits), interlaced=1)
    for colour, name, channels in ((0, "grey", 1), (2, "rgb", 3), (3, "palette", 1), (4, "grey-alpha", 2), (6, "rgba", 4)):
        for depth in (1, 2, 4, 8, 16):
            if (colour in (2, 4, 6) and depth < 8) or (colour == 3 and depth == 16):
                continue
            line = (width * channels * depth + 7) // 8
            data = stream(f"png {name} {depth}", line * height).copy()
            if name == "grey" and depth == 16:
                data[::4] = 0  # some that fit in eight bits
            rows = b"".join(b"\0" + data[i * line : (i + 1) * line].tobytes() for i in range(height))
            # One colour fewer than indices reach.
            palette = stream(f"palette {depth}", 3 * (2**depth - 1 if depth > 1 else 2)).tobytes()
            extra = chunk(b"PLTE", palette) if colour == 3 else b""
            yield f"{name}-{depth}", png(width, height, depth, colour, rows, extra)
            if colour in (0, 3) and depth == 8:
                transparent = b"\0\x05" if colour == 0 else b"\x00\x80"
                yield f"{name}-{depth}-trns", png(width, height, depth, colour, rows, extra + chunk(b"tRNS", transparent))


def write_pair(folder, name, suffix, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.{suffix}").write_bytes(data)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    expected.save(folder / f"{name}.expected.png", optimize=True)
    return np.asarray(expected)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "cases.json").write_text(json.dumps(list(cases()), indent=0) + "\n")
    # scikit-image's Chelsea, CC0: a photograph with fur, odd sides.
    chelsea = Image.open(pathlib.Path(skimage.__file__).parent / "data/chelsea.png").convert("RGB").resize((75, 53))
    for name, data in jpegs(chelsea):
        write_pair(OUT / "jpeg", name, "jpg", data)
    for name, data in pngs():
        write_pair(OUT / "png", name, "png", data)
    if len(sys.argv) < 2:
        return
    samples, found = pathlib.Path(sys.argv[1]), {}
    for path in photographs():
        image = Image.open(path).convert("RGB")
        pixels = np.asarray(image)
        suffix = "png" if path.suffix == ".png" else "jpg"
        write_pair(samples, path.stem, suffix, path.read_bytes())
        sides = ((384, 384), (576, 576), (64, 48), (97, 700))
        found[path.stem] = {
            "source": digest(pixels),
            "resized": {f"{w}x{h}": digest(resized(pixels, w, h)) for w, h in sides},
            "augmented": {name: digest(out) for name, out in augmented(resized(pixels, 384, 384)).items()},
        }
        small = image.copy()
        small.thumbnail((301, 301))
        for name, data in jpegs(small):
            write_pair(samples, f"{path.stem}-{name}", "jpg", data)
    (OUT / "photographs.json").write_text(json.dumps(found, indent=0) + "\n")


main()
