"""What the nodes do: images become links, links tasks, tasks pictures; imported by the first run, not by the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils import pasted_keys
from ..utils.backend import connect, open_host, open_journal
from ..utils.batches import Batch, make_batch, split
from ..utils.choices import OnFailure, Sizes
from ..utils.collection import collect
from ..utils.config import AUTO
from ..utils.hosting.upload import Encoding, summary, upload
from ..utils.hosting.uploads import Uploads
from ..utils.images import from_float
from ..utils.monitor import Monitor, count
from ..utils.outcomes import describe, settle
from ..utils.references import TaskRef
from ..utils.report import write_report
from ..utils.submission import Request, submit
from . import _comfy

_NO_BATCH = "The pictures have different sizes and 'sizes' is 'list only': connect image_list of Poll Result instead."
_SENT = (
    "What was sent is remembered: Run continues with its task, or says that the outcome is not known. Nothing is sent "
    "twice by itself."
)


@dataclass(frozen=True)
class Wishes:
    """How tasks are waited for, and what becomes of images without a result and of different sizes."""

    timeout_s: int
    on_failure: OnFailure
    sizes: Sizes

    @classmethod
    def of(cls, timeout_s: int, on_failure: str, sizes: str) -> Wishes:
        """Return what the widgets say."""
        return cls(timeout_s, OnFailure(on_failure), Sizes(sizes))


@dataclass(frozen=True)
class Finished:
    """What a node hands on, still without torch; a single is None where an image has no picture."""

    batch: Batch | None
    why_none: str  # what stops the nodes behind a batch that there is not
    singles: list[NDArray[np.float32] | None]
    links: str
    report: str
    preview: dict[str, Any]


def links_of(
    images: Sequence[Any], host: str, fmt: str, out_of_limits: str, monitor: Monitor, profile_name: str = AUTO
) -> tuple[str, ...]:
    """Return the links of IMAGE tensors, uploaded to a host; "auto" is the one that the profile needs."""
    pasted_keys.check(host=host)
    settings = _comfy.load_config()
    profile = settings.described(profile_name)  # uploading needs none of its keys
    target = open_host(settings, host, profile)
    arrays = _comfy.image_arrays(images)
    hosted = upload(
        [partial(from_float, array, f"image {n}") for n, array in enumerate(arrays, 1)],
        target,
        Encoding(fmt, out_of_limits == "fit", profile.limits),
        uploads=Uploads(settings),
        journal=open_journal(settings),
        monitor=monitor,
    )
    monitor.report(1, 1, summary(hosted, target.settings))
    return tuple(h.url for h in hosted)


def tasks_of(request: Request, profile_name: str, monitor: Monitor) -> list[TaskRef]:
    """Return the tasks of links, each paid for once."""
    pasted_keys.check(image_urls="\n".join(request.links), profile=profile_name)
    monitor.if_cancelled = _SENT
    return submit(connect(_comfy.load_config(), profile_name), request, monitor)


def pictures_of(
    tasks: Sequence[TaskRef], profile_name: str, wishes: Wishes, monitor: Monitor, originals: Sequence[Any] | None
) -> Finished:
    """Return the pictures of tasks, as the widgets wish them."""
    monitor.if_cancelled = f"The tasks go on, and Run continues with them: {', '.join(map(str, tasks))}"
    backend = connect(_comfy.load_config(), profile_name)
    spare = None if originals is None else _comfy.image_arrays(originals)
    collection = collect(backend, tasks, timeout_s=wishes.timeout_s, monitor=monitor)
    # else a broken original would cost a finished task
    needed = spare if wishes.on_failure is OnFailure.ORIGINAL else None
    places = settle(
        collection,
        wishes.on_failure,
        None if needed is None else [from_float(array, f"original {n}") for n, array in enumerate(needed, 1)],
    )
    pictures = [picture for picture in places if picture is not None]
    monitor.report(1, 1, f"{len(pictures)} of {count(len(collection.outcomes), 'picture')}")
    batch = make_batch(pictures, wishes.sizes) if pictures else None
    singles = iter(split(batch, pictures))
    return Finished(
        batch=batch,
        why_none=_NO_BATCH if pictures else describe(collection),
        singles=[None if picture is None else next(singles) for picture in places],
        links="\n".join(outcome.url for outcome in collection.outcomes),
        report=write_report(collection, backend.profile.name, None if spare is None else len(spare)),
        preview=_comfy.preview(pictures),
    )


def cartoons_of(images: Sequence[Any], profile_name: str, variation: int, wishes: Wishes, monitor: Monitor) -> Finished:
    """Return the cartoons of IMAGE tensors: uploaded, submitted and waited for."""
    with monitor.part(0.0, 0.15):
        links = links_of(images, AUTO, "auto", "fit", monitor, profile_name)
    with monitor.part(0.15, 0.2):
        tasks = tasks_of(Request(links, variation=variation), profile_name, monitor)
    with monitor.part(0.2, 1.0):
        return pictures_of(tasks, profile_name, wishes, monitor, images)
