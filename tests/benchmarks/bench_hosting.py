"""Tensor to URL: Image to URL beside a sequential loop of PIL's PNG and boto3, against the same S3 server.

Needs boto3 (pip install boto3) and Swift (the extra dev, on Linux). Each run is a process of its own, the methods take
turns, and what is printed is the median; the peak is what the process needs beyond the batch itself.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import pack

pack.load()
import swift_server  # noqa: E402
from cartoonize_pack.utils import config  # noqa: E402
from cartoonize_pack.utils.backend import open_host, open_journal  # noqa: E402
from cartoonize_pack.utils.hosting.upload import Encoding, upload  # noqa: E402
from cartoonize_pack.utils.hosting.uploads import Uploads  # noqa: E402
from cartoonize_pack.utils.images import from_float  # noqa: E402
from cartoonize_pack.utils.monitor import Monitor  # noqa: E402
from PIL import Image  # noqa: E402

BUCKET = "faces"
METHODS = ("PIL and boto3, one by one", "Image to URL, png", "Image to URL, auto")


def portraits(count: int, side: int) -> np.ndarray:
    """An IMAGE [B,H,W,C] of portraits with the noise of a camera, each another one."""
    with Image.open(pack.ROOT / "examples" / "portrait.jpg") as image:
        face = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS), np.float32) / 255
    batch = np.empty((count, side, side, 3), np.float32)
    generator = np.random.default_rng(7)
    for values in batch:
        noise = generator.normal(0, 0.01, (side, side, 1)).astype(np.float32)
        np.clip(face + noise, 0, 1, out=values)
    return batch


def with_boto3(batch: np.ndarray, server: dict[str, str]) -> list[str]:
    """What other packs do."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        endpoint_url=server["endpoint"],
        aws_access_key_id=server["access_key"],
        aws_secret_access_key=server["secret_key"],
        region_name=server["region"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    start = time.perf_counter()
    links = []
    for index, values in enumerate(batch):
        stream = io.BytesIO()
        Image.fromarray((255 * np.clip(values, 0, 1)).astype(np.uint8)).save(stream, "PNG")
        client.put_object(Bucket=BUCKET, Key=f"{os.getpid()}-{index}.png", Body=stream.getvalue())
        where = {"Bucket": BUCKET, "Key": f"{os.getpid()}-{index}.png"}
        links.append(client.generate_presigned_url("get_object", Params=where, ExpiresIn=86400))
    print(time.perf_counter() - start)
    return links


def with_the_pack(batch: np.ndarray, server: dict[str, str], fmt: str) -> list[str]:
    """The function behind the node, with its registry and its journal on disk."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in server.items()]
    with tempfile.TemporaryDirectory() as home:
        Path(home, "config.toml").write_text(
            f'[hosts.s3]\nkind = "s3"\nbucket = "{BUCKET}"\nallow_http = true\n' + "\n".join(lines)
        )
        settings = config.load(Path(home), {})
        profile = settings.profile("local")
        target = open_host(settings, "s3", profile)
        start = time.perf_counter()
        hosted = upload(
            [partial(from_float, values) for values in batch],
            target,
            Encoding(fmt, may_fit=True, limits=profile.limits),
            uploads=Uploads(settings),
            journal=open_journal(settings),
            monitor=Monitor(),
        )
        print(time.perf_counter() - start)
        return [h.url for h in hosted]


def child(method: str, count: int, side: int, server: dict[str, str]) -> None:
    """One run: prints seconds, then megabytes beyond the batch."""
    batch = portraits(count, side)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    before = memory("VmRSS")
    run: Callable[[Any, Any], list[str]] = with_boto3
    if method != METHODS[0]:
        run = partial(with_the_pack, fmt=method.rpartition(" ")[2])
    links = run(batch, server)
    assert len(set(links)) == count
    print(memory("VmHWM") - before)


def memory(name: str) -> float:
    """A line of /proc/self/status in MB."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{name}:")[2].split()[0]) * 1024 / 1e6


def main() -> None:
    """Print seconds, ratios and megabytes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        method, count, side, server = options.child
        child(method, int(count), int(side), json.loads(server))
        return
    with tempfile.TemporaryDirectory() as folder, swift_server.running(Path(folder)) as s3:
        s3.create_bucket(BUCKET)
        names = ("endpoint", "access_key", "secret_key", "region")
        server = json.dumps({name: getattr(s3, name) for name in names})
        print(f"median of {options.runs} runs, {os.cpu_count()} cores, which the server shares")
        for count, side in ((20, 1024), (4, 4096)):
            rows: dict[str, list[tuple[float, float]]] = {method: [] for method in METHODS}
            for _ in range(options.runs):
                for method, runs in rows.items():
                    command = [sys.executable, __file__, "--child", method, str(count), str(side), server]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    seconds, megabytes = map(float, done.stdout.split())
                    runs.append((seconds, megabytes))
            floor = statistics.median(seconds for seconds, _ in rows[METHODS[0]])
            print(f"\n{count} images of {side} square ({count * side * side * 12 / 1e6:.0f} MB as a batch)")
            for method, runs in rows.items():
                seconds, megabytes = (statistics.median(values) for values in zip(*runs, strict=True))
                print(f"{method:28} {seconds:7.2f} s   {seconds / floor:.2f}   peak + {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
