"""Times the stylization engine beside OpenCV's `stylization`, and measures the memory both take.

    python tests/benchmarks/bench_engine.py [--sizes 512 1024 2048] [--repeats 3] [--picture FILE]

Every size and method runs in a fresh child process on one core: seconds are the median of the repeats
after one warm-up, megabytes the growth of the child's peak resident memory over its state before the
first call. OpenCV is needed for the comparison only (`pip install opencv-python-headless`).
"""

import argparse
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "utils" / "service" / "engine"
METHODS = ("anime", "manga", "opencv")

Picture = NDArray[np.uint8]


def load_engine() -> ModuleType:
    """Import the engine from its folder, under a name of its own."""
    spec = importlib.util.spec_from_file_location(
        "engine", ENGINE / "__init__.py", submodule_search_locations=[str(ENGINE)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["engine"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawing_function(method: str) -> Callable[[Picture], Picture]:
    """The function to measure; ModuleNotFoundError if OpenCV is missing."""
    if method == "opencv":
        import cv2

        cv2.setNumThreads(1)
        return lambda rgb: np.asarray(cv2.stylization(np.ascontiguousarray(rgb[..., ::-1])), np.uint8)
    engine = load_engine()
    style = engine.Style(method)
    return lambda rgb: np.asarray(engine.stylize(rgb, style), np.uint8)


def peak_megabytes() -> float:
    """Peak resident memory of this process so far; Linux counts kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def measure(method: str, size: int, repeats: int, picture: Path) -> dict[str, float]:
    """Seconds per picture and peak extra megabytes of one method, in this process."""
    with Image.open(picture) as image:
        rgb = np.array(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC, centering=(0.5, 0)))
    function = drawing_function(method)
    before = peak_megabytes()
    function(rgb)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(rgb)
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "megabytes": peak_megabytes() - before}


def measure_in_child(method: str, size: int, repeats: int, picture: Path) -> dict[str, float] | None:
    """The same in a fresh process bound to one core, or None if it failed."""
    command = [sys.executable, __file__, "--child", method, str(size), str(repeats), str(picture)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    child = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True, check=False)
    if child.returncode:
        print(f"{method} at {size}: {child.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    result: dict[str, float] = json.loads(child.stdout)
    return result


def report(sizes: list[int], repeats: int, picture: Path) -> None:
    """Print the table."""
    methods = list(METHODS)
    if importlib.util.find_spec("cv2") is None:
        methods.remove("opencv")
        print("cv2 is not installed: measuring the engine alone (pip install opencv-python-headless).")
    print(f"{'size':>5} {'method':>7} {'seconds':>8} {'extra MB':>9} {'time / cv2':>11} {'memory / cv2':>13}")
    for size in sizes:
        results = {method: measure_in_child(method, size, repeats, picture) for method in methods}
        rival = results.get("opencv")
        for method, result in results.items():
            if result is None:
                continue
            line = f"{size:>5} {method:>7} {result['seconds']:>8.2f} {result['megabytes']:>9.0f}"
            if rival is not None and method != "opencv":
                line += f" {result['seconds'] / rival['seconds']:>11.2f}"
                line += f" {result['megabytes'] / max(rival['megabytes'], 1):>13.2f}"
            print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048], metavar="PIXELS")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--picture", type=Path, default=ROOT / "examples" / "portrait.jpg")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        method, size, repeats, picture = arguments.child
        print(json.dumps(measure(method, int(size), int(repeats), Path(picture))))
    else:
        report(arguments.sizes, arguments.repeats, arguments.picture)


if __name__ == "__main__":
    main()
