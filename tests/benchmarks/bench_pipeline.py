"""20 pictures of 1024 square: upload, submit, poll against the floor of encoding, copying and decoding them.

The service is a real HTTP server on loopback that answers at once, so what is measured is the pack's own work.

    python tests/benchmarks/bench_pipeline.py [--images N] [--side PIXELS] [--runs N]
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import pack
from scripted_service import ScriptedService

pack.load()
from cartoonize_pack.utils import config  # noqa: E402  # the pack has no import name before it is loaded
from cartoonize_pack.utils.backend import connect, open_host  # noqa: E402
from cartoonize_pack.utils.batches import Sizes, make_batch  # noqa: E402
from cartoonize_pack.utils.collection import collect  # noqa: E402
from cartoonize_pack.utils.hosting.upload import PARALLEL, Encoding, upload  # noqa: E402
from cartoonize_pack.utils.images import (  # noqa: E402
    MAX_PIXELS,
    READABLE_FORMATS,
    decode,
    encode_png,
    from_float,
)
from cartoonize_pack.utils.monitor import Monitor  # noqa: E402
from cartoonize_pack.utils.outcomes import OnFailure, settle  # noqa: E402
from cartoonize_pack.utils.service.server import stop_embedded  # noqa: E402
from cartoonize_pack.utils.submission import Request, submit  # noqa: E402


def pictures(count: int, side: int) -> np.ndarray:
    """The bundled portrait at this size, slightly different each time, as an IMAGE batch [B,H,W,C]."""
    with Image.open(pack.ROOT / "examples" / "portrait.jpg") as portrait:
        square = np.asarray(portrait.resize((side, side), Image.Resampling.BICUBIC), np.float32) / 255
    return np.stack([np.roll(square, 7 * i, axis=1) for i in range(count)])


def floor_one(values: np.ndarray, copy: bytearray) -> np.ndarray:
    """What cannot be left out for one picture: encode it, move the bytes there and back, decode it."""
    data = encode_png(from_float(values))
    copy[: len(data)] = data
    return decode(bytes(copy[: len(data)]), READABLE_FORMATS, MAX_PIXELS).rgb


def floor(batch: np.ndarray, workers: int) -> np.ndarray:
    """The floor for all pictures with so many threads, as one batch."""
    buffers = [bytearray(4 * batch[0].size) for _ in range(len(batch))]
    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(pool.map(floor_one, batch, buffers))).astype(np.float32) / np.float32(255)


def through_the_pack(batch: np.ndarray, settings: config.Config, variation: int) -> np.ndarray:
    """The three nodes' work, without ComfyUI; a variation of its own is work that the journal does not know."""
    monitor = Monitor()
    backend = connect(settings, "auto")
    hosted = upload(
        [partial(from_float, values) for values in batch],
        open_host(settings, "auto", backend.profile),
        Encoding("auto", may_fit=True, limits=backend.profile.limits),
        uploads=backend.uploads,
        journal=backend.journal,
        monitor=monitor,
    )
    tasks = submit(backend, Request(tuple(h.url for h in hosted), variation=variation), monitor)
    collection = collect(backend, tasks, timeout_s=60, monitor=monitor)
    pictures = [picture for picture in settle(collection, OnFailure.ERROR, None) if picture is not None]
    made = make_batch(pictures, Sizes.MATCH_FIRST)
    assert made is not None
    assert made.images.shape == batch.shape
    return made.images


def median_s(work: Callable[[], object], runs: int) -> float:
    """Median seconds after one warm-up."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    batch = pictures(options.images, options.side)
    service = ScriptedService()
    service.file = encode_png(from_float(batch[0]))
    with tempfile.TemporaryDirectory() as home, service.running():
        os.environ.update(service.environment, CARTOONIZE_HOME=home)
        settings, fresh = config.load(), itertools.count(1)
        rows = {
            "floor, one thread": median_s(lambda: floor(batch, 1), options.runs),
            f"floor, {PARALLEL} threads": median_s(lambda: floor(batch, PARALLEL), options.runs),
            "upload, submit, poll": median_s(lambda: through_the_pack(batch, settings, next(fresh)), options.runs),
            "the same once more, from disk": median_s(lambda: through_the_pack(batch, settings, 0), options.runs),
        }
        assert len(service.submissions) == options.runs + 2
        stop_embedded(Path(home))
    parallel_floor = rows[f"floor, {PARALLEL} threads"]
    print(f"{options.images} pictures of {options.side} square, median of {options.runs} runs, {os.cpu_count()} cores")
    for name, seconds in rows.items():
        print(f"{name:32} {seconds:7.2f} s   {seconds / parallel_floor:.2f}")


if __name__ == "__main__":
    main()
