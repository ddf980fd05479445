"""Who gets into the service, and how much they may take: the pure parts, in tables, with a clock that tests move."""

from __future__ import annotations

import base64
import hmac
import math
import sqlite3
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cartoonize_pack.utils.secret import Secret
from cartoonize_pack.utils.service.door import Door, Refusal
from cartoonize_pack.utils.service.jobs import LEASE_S, JobTable, QueueFull
from cartoonize_pack.utils.service.limits import Rate, ServiceLimits
from cartoonize_pack.utils.service.server import SHORTEST_SECRET, Options, Server
from cartoonize_pack.utils.service.states import TASK_TIMEOUT_S
from fake_clock import Clock

KEY, SECRET = "the key", "the secret, which is long"
PAIR = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
A, B = "192.0.2.7", "192.0.2.8"


# --- the pace of an address -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_s", "burst", "steps"),
    [
        (1.0, 3, [(0, 0), (0, 0), (0, 0), (0, 1), (0.25, 0.75), (0.75, 0), (0, 1)]),
        (0.125, 1, [(0, 0), (0, 8), (7, 1), (1, 0), (0, 8)]),
        (4.0, 2, [(0, 0), (0, 0), (0, 0.25), (0.25, 0), (0.125, 0.125), (0.125, 0)]),
        (2.0, 2, [(0, 0), (0, 0), (1000, 0), (0, 0), (0, 0.5)]),  # a long pause saves up no more than the burst
        (1.0, 1, [(0, 0), (0, 1), (0, 1), (0, 1), (1, 0)]),  # who is refused is not punished for asking
        (math.inf, 1, [(0, 0)] * 50),
    ],
)
def test_a_burst_and_then_a_pace(clock: Clock, per_s: float, burst: int, steps: list[tuple[float, float]]) -> None:
    """After each pause, one token or how long there is none."""
    rate = Rate(per_s, burst, clock)
    for pause_s, wait_s in steps:
        clock.now += pause_s
        assert rate.take(A) == wait_s


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        (A, A, True),
        (A, B, False),
        (A, f"::ffff:{A}", True),  # the same client, seen by a socket that listens on both protocols
        (A, f"::FFFF:{A}", True),
        (f"::ffff:{A}", f"::ffff:{B}", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:0DB8:0001:0002:0000:0000:0000:0001", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("::1", "::1", True),
        ("::1", "127.0.0.1", False),
        ("", "", True),  # a socket without addresses
        ("", A, False),
        ("no address", "no address", True),
    ],
)
def test_whose_tokens_they_are(clock: Clock, first: str, second: str, is_one: bool) -> None:
    """An IPv6 network of 64 bits is one customer, an IPv4 address is one in whatever spelling."""
    rate = Rate(1.0, 1, clock)
    assert rate.take(first) == 0
    assert (rate.take(second) > 0) is is_one


def test_a_crowd_of_addresses_is_forgotten_and_not_kept(clock: Clock) -> None:
    """However many ask, so many are remembered: the longest unseen go first, whoever is seen again stays."""
    rate = Rate(0.001, 1, clock, most_addresses=100)
    for number in range(100):
        rate.take(f"2001:db8:0:{number:x}::1")
    clock.now += 2000
    assert rate.take("2001:db8:0:0::1") == 0
    for number in range(100, 100 + 99):
        rate.take(f"2001:db8:0:{number:x}::1")
    assert len(rate._left) == 100
    assert rate.take("2001:db8:0:0::1") > 0
    rate.take("2001:db8:1:0::1")
    rate.take("2001:db8:2:0::1")
    assert len(rate._left) == 100
    assert rate.take("2001:db8:0:0::1") == 0, "the longest unseen one is still remembered"


def test_whoever_waits_as_long_as_told_gets_in(clock: Clock) -> None:
    """The whole seconds of a refusal are enough, at any pace: nobody is told to come back too early."""
    for per_s in (0.1, 0.3, 0.7, 1.0, 3.0, 7.0, 20.0):
        door = at(clock, ServiceLimits(requests_per_s=per_s, burst=3))
        for _ in range(20):
            while (refusal := door.pace(A)) is None:
                pass
            assert refusal.status == 429
            assert 1 <= refusal.wait_s <= math.ceil(1 / per_s)
            clock.now += refusal.wait_s
            assert door.pace(A) is None


# --- the door ---------------------------------------------------------------------------------------------------------


def at(clock: Clock, limits: ServiceLimits, names: Iterable[str] = (), key: str = KEY, secret: str = SECRET) -> Door:
    """A door that goes by the clock of the test."""
    door = Door(Secret(key), Secret(secret), limits, names)
    door._requests._clock = clock
    return door


@pytest.fixture
def door(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr("socket.gethostname", lambda: "Atelier.example.net")
    limits = ServiceLimits(requests_per_s=1, burst=3)
    return at(clock, limits, ["Studio.example.com"])


def test_one_address_in_a_hurry_does_not_slow_another(door: Door, clock: Clock) -> None:
    """Three at once and then one a second, for each address."""
    assert [door.pace(A) for _ in range(3)] == [None] * 3
    assert door.pace(A) == Refusal(429, "too many requests from this address; wait 1 s", 1)
    assert door.pace(B) is None
    clock.now += 1
    assert door.pace(A) is None
    assert door.pace(A) is not None


@pytest.mark.parametrize("header", [f"Basic {PAIR}", f"basic {PAIR}", f"BASIC {PAIR}", f"bAsIc   {PAIR}  "])
def test_the_right_key_pair_gets_in(door: Door, header: str) -> None:
    """The scheme is not case-sensitive (RFC 7235), spaces do not count, and being right costs nothing."""
    assert [door.key_pair(header) for _ in range(20)] == [None] * 20


def _basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode('utf-8', 'surrogateescape')).decode()}"


WRONG = {
    "none": "",
    "scheme alone": "Basic",
    "scheme and a space": "Basic ",
    "pair alone": PAIR,
    "another scheme": f"Bearer {PAIR}",
    "no space": f"Basic{PAIR}",
    "a tab": f"Basic\t{PAIR}",
    "twice": f"Basic {PAIR} {PAIR}",
    "list": f"Basic {PAIR}, Basic {PAIR}",
    "cut": f"Basic {PAIR[:-2]}",
    "longer": f"Basic {PAIR}A",
    "padding": f"Basic {PAIR.rstrip('=')}====",
    "lower case": f"Basic {PAIR.lower()}",
    "not encoded": f"Basic {KEY}:{SECRET}",
    "key alone": _basic(KEY),
    "empty secret": _basic(f"{KEY}:"),
    "empty key": _basic(f":{SECRET}"),
    "empty pair": _basic(":"),
    "swapped": _basic(f"{SECRET}:{KEY}"),
    "upper case": _basic(f"{KEY.upper()}:{SECRET.upper()}"),
    "a line end": _basic(f"{KEY}:{SECRET}\n"),
    "not ASCII": f"Basic {PAIR}é",
    "scheme not ASCII": f"Bäsic {PAIR}",
    "scheme with a dotless i": f"Bas\u0131c {PAIR}",
    "any bytes": "Basic \udcff\udcfe",  # as aiohttp decodes them
    "NUL": f"Basic {PAIR}\0",
    "long": f"Basic {PAIR * 300}",
}


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG.keys())
def test_every_wrong_key_pair_is_refused_with_the_same_words(door: Door, header: str) -> None:
    """Nobody learns from the answer which half was right."""
    assert door.key_pair(header) == Refusal(401, "the key pair is missing or wrong")


@pytest.mark.parametrize(
    ("key", "secret"), [("schlüssel", "geheim-é"), ("钥匙", "秘密的一对钥匙"), ("k", "a:b:c"), ("k", "\udcff")]
)
def test_key_pairs_of_any_script_get_in(clock: Clock, key: str, secret: str) -> None:
    """UTF-8, as our client sends them; a secret may hold colons, or what the environment holds that is no UTF-8."""
    door = at(clock, ServiceLimits(), key=key, secret=secret)
    assert door.key_pair(_basic(f"{key}:{secret}")) is None
    assert door.key_pair(_basic(f"{key}:{secret}x")) == Refusal(401, "the key pair is missing or wrong")


def test_wrong_keys_of_others_do_not_lock_the_right_one_out(door: Door) -> None:
    """Behind a proxy all have one address; how fast anybody may guess is what `pace` decides."""
    assert {door.key_pair(_basic("key:guess")) for _ in range(50)} == {Refusal(401, "the key pair is missing or wrong")}
    assert door.key_pair(_basic(f"{KEY}:{SECRET}")) is None


def test_keys_are_compared_as_digests_in_constant_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was sent, 32 bytes are compared with 32 by `hmac.compare_digest`, also for a scheme that is wrong."""
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    headers = [f"Basic {PAIR}", f"Bearer {PAIR}", "", "Basic \udcff", f"Basic {PAIR * 300}"]
    for header in headers:
        door.key_pair(header)
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32)] * len(headers)
    assert not any(text in repr(vars(door)) for text in (KEY, SECRET, PAIR))


# --- the name under which it is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "127.0.0.1", "127.0.0.1:8189", "192.168.1.20:8189", "[::1]", "[::1]:8189", "[2001:DB8::1]:80", "localhost",
        "LOCALHOST:8189", "localhost.", "atelier.example.net", "Atelier.Example.NET:8189", "atelier.local:8189",
        "studio.example.com", "STUDIO.example.com.:443",
    ],
)  # fmt: skip
def test_addresses_and_names_of_this_machine_are_fine(door: Door, header: str) -> None:
    """An address is nobody else's name; names are those of the machine and those of `--name`, in any case."""
    assert door.host(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "", ".", "..", ":", ":80", "@", "[", "]", "[]", "/", "//127.0.0.1", "http://127.0.0.1", "http://127.0.0.1/",
        "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:+80", "127.0.0.1: 80", "127.0.0.1:8x", "127.0.0.1:80:80", "::1",
        "127.0.0.1:\uff18\uff10", "me@127.0.0.1", "127.0.0.1@evil.example", "evil.example@127.0.0.1", ":@127.0.0.1",
        "127.0.0.1/evil.example", "127.0.0.1?evil.example", "127.0.0.1#evil.example", "127.0.0.1\t", "\t127.0.0.1",
        "127.0.0.1\r\nX: y", "127.0.0.1\n", "möbel.example", "loc\u0430lhost", "localhost\u3002",
        "\uff11\uff12\uff17.0.0.1", "\udcff", "localhost\udcff",
    ],
)  # fmt: skip
def test_what_is_no_address_at_all_is_a_bad_request(door: Door, header: str) -> None:
    """A Host header is a name or an address, a port or none, in ASCII, and nothing else."""
    assert door.host(header) == Refusal(400, "the Host header is not an address")


@pytest.mark.parametrize(
    "header",
    [
        "evil.example", "evil.example:8189", "evil.example.", "localhost.evil.example", "127.0.0.1.evil.example",
        "atelier", "atelier.example.net.evil.example", "xstudio.example.com", "xn--studio-9va.example.com", "127.1",
        "2130706433", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.2",
    ],
)  # fmt: skip
def test_names_of_others_are_misdirected(door: Door, header: str) -> None:
    """What a rebound DNS name would send; the answer says how to allow it."""
    refusal = door.host(header)
    assert refusal is not None
    assert refusal.status == 421
    assert "--name" in refusal.words


HALF_ADDRESSES = [
    "[127.0.0.1]", "[localhost]", "[localhost]x", "evil.example[::1]", "evil.example[::1]:80", "[::1].evil.example",
    "[::1]evil.example", "[::1%evil.example]", '[::1%25"><b>]',
]  # fmt: skip


@pytest.mark.parametrize(
    "header",
    [
        "127.0.0.1, evil.example", "127.0.0.1,evil.example", "evil.example, 127.0.0.1", "localhost,", "localhost evil",
        " ", " localhost", "localhost\\evil.example", "localhost;evil.example", "localhost\x0b", "localhost\x7f", "*",
        "localhost\0", "'", "localhost%00.evil.example", "localhost%2eexample",
        '"localhost"', "<b>", "a" * 5000, "[v1.a]",
        *HALF_ADDRESSES,
    ],
)  # fmt: skip
def test_whatever_else_is_put_into_the_header_is_refused_in_few_words(door: Door, header: str) -> None:
    """Lists, spaces, separators and half addresses, some of which other parsers would read as another host."""
    refusal = door.host(header)
    assert refusal is not None
    assert refusal.status in (400, 421)
    assert len(refusal.words) < 500


def test_a_name_that_was_not_given_is_no_name(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of a profile without a host gives the empty name, and a Host header without one stays refused."""
    monkeypatch.setattr("socket.gethostname", lambda: "")
    door = at(clock, ServiceLimits(), names=["", "."])
    assert [door.host(header) for header in ("", ".", ":80")] == [Refusal(400, "the Host header is not an address")] * 3
    assert door.host("localhost") is None


# --- the queue --------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path, clock: Clock) -> Iterator[JobTable]:
    table = JobTable(tmp_path / "jobs.sqlite3", clock)
    yield table
    table.close()


def stored(table: JobTable) -> tuple[int, int]:
    """How many tasks and pictures there are."""
    tasks, images = (table._db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("tasks", "images"))
    return tasks, images


def fill(table: JobTable, count: int, most: int) -> str:
    """Submit one task."""
    return table.accept("anime", ["http://127.0.0.1/x.png"] * count, 1, most)


def finish(table: JobTable, result: str | None = "r.png") -> None:
    """Draw the next picture, or fail on it."""
    claim = table.claim("me")
    assert claim is not None
    assert table.finish(claim, result=result, seconds=1.0 if result else None)


@pytest.mark.parametrize(
    ("before", "count", "waiting"),
    [
        ([], 10, None),
        ([], 11, 0),
        ([9], 1, None),
        ([10], 1, 10),
        ([4, 5], 1, None),
        ([4, 5], 2, 9),
        ([20], 1, 20),  # the limit is lower than it was at the last start
    ],
)
def test_a_queue_may_be_exactly_full(table: JobTable, before: list[int], count: int, waiting: int | None) -> None:
    """One picture more and nothing of the submission is stored; the error tells how many wait."""
    for size in before:
        fill(table, size, most=1000)
    held = stored(table)
    if waiting is None:
        fill(table, count, most=10)
        assert stored(table) == (held[0] + 1, held[1] + count)
    else:
        with pytest.raises(QueueFull) as caught:
            fill(table, count, most=10)
        assert caught.value.waiting == waiting
        assert stored(table) == held


def test_a_refused_submission_does_not_stop_a_smaller_one(table: JobTable) -> None:
    """What was refused leaves nothing behind, no lock and no row."""
    fill(table, 8, most=10)
    with pytest.raises(QueueFull):
        fill(table, 3, most=10)
    fill(table, 2, most=10)
    assert stored(table) == (2, 10)


@pytest.mark.parametrize("result", ["r.png", None])
def test_what_is_finished_makes_room_and_what_is_being_drawn_does_not(table: JobTable, result: str | None) -> None:
    """Drawn or failed, it waits no more; a claimed picture does, because its worker may die."""
    fill(table, 2, most=2)
    claim = table.claim("me")
    assert claim is not None
    with pytest.raises(QueueFull):
        fill(table, 1, most=2)
    table.release("me")
    with pytest.raises(QueueFull):
        fill(table, 1, most=2)
    finish(table, result)
    fill(table, 1, most=2)
    with pytest.raises(QueueFull):
        fill(table, 1, most=2)


def test_a_picture_whose_worker_died_keeps_its_place(table: JobTable, clock: Clock) -> None:
    """Its lease has run out, but it will be drawn."""
    fill(table, 1, most=1)
    assert table.claim("me") is not None
    clock.now += LEASE_S + 1
    with pytest.raises(QueueFull):
        fill(table, 1, most=1)


def test_what_timed_out_takes_no_room(table: JobTable, clock: Clock) -> None:
    """Nobody draws it any more; a moment before that it still counts."""
    fill(table, 3, most=3)
    clock.now += TASK_TIMEOUT_S - 1
    with pytest.raises(QueueFull):
        fill(table, 1, most=3)
    clock.now += 1
    fill(table, 3, most=3)
    assert stored(table) == (2, 6)


def test_many_at_the_same_moment_do_not_overfill_the_queue(table: JobTable, tmp_path: Path, clock: Clock) -> None:
    """Counting and storing are one step, between threads and between processes that share the table."""
    other = JobTable(tmp_path / "jobs.sqlite3", clock)

    def submit(number: int) -> bool:
        try:
            fill((table, other)[number % 2], 2, most=25)
        except QueueFull:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(submit, range(40)))
    other.close()
    assert accepted.count(True) == 12
    assert stored(table) == (12, 24)


@pytest.mark.parametrize(
    ("measured", "workers", "wait_s"), [([], 1, 2), ([], 4, 1), ([3.5, 4.5], 1, 4), ([3.5, 4.5], 3, 2), ([0.01], 4, 1)]
)
def test_how_long_to_wait_for_room_is_whole_seconds(
    table: JobTable, measured: list[float], workers: int, wait_s: int
) -> None:
    """As long as a picture takes, by the latest measurements, and never 0."""
    fill(table, len(measured) + 1, most=100)
    for seconds in measured:
        claim = table.claim("me")
        assert claim is not None
        table.finish(claim, result="r.png", seconds=seconds)
    assert table.wait_of_queue_s(workers) == wait_s


def test_a_table_that_cannot_be_written_is_another_error_than_a_full_queue(tmp_path: Path) -> None:
    """A closed table is trouble, and must not look like a queue that will have room again."""
    table = JobTable(tmp_path / "jobs.sqlite3")
    table.close()
    with pytest.raises(sqlite3.Error):
        fill(table, 1, most=0)


# --- where it listens -------------------------------------------------------------------------------------------------

LONG = "s" * SHORTEST_SECRET


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "localhost"])
@pytest.mark.parametrize("pair", [(None, None), ("k", "s")])
def test_on_loopback_any_key_will_do(tmp_path: Path, host: str, pair: tuple[str | None, str | None]) -> None:
    """Without one, the server makes one of its own, of 192 random bits."""
    key, secret = (None if text is None else Secret(text) for text in pair)
    assert Options(tmp_path, host=host, app_key=key, app_secret=secret).problem() == ""


BEYOND = ["0.0.0.0", "::", "", "192.168.1.20", "10.0.0.1", "203.0.113.1", "2001:db8::1", "fe80::1", "studio",
          "localhost.example", "::ffff:192.168.1.20", "0", "127.1"]  # fmt: skip


@pytest.mark.parametrize("host", BEYOND)
@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ((None, None), "needs a key pair of its own"),
        (("k", None), "needs a key pair of its own"),
        ((None, LONG), "needs a key pair of its own"),
        (("", LONG), "needs a key pair of its own"),
        (("k", ""), "needs a key pair of its own"),
        (("k", LONG[1:]), f"at least {SHORTEST_SECRET} characters"),
        (("k", LONG), ""),
    ],
)
def test_beyond_loopback_there_is_no_default_key(
    tmp_path: Path, host: str, pair: tuple[str | None, str | None], words: str
) -> None:
    """Whatever may be reached from elsewhere, or is not known to be loopback, needs a secret that nobody guesses."""
    key, secret = (None if text is None else Secret(text) for text in pair)
    problem = Options(tmp_path, host=host, app_key=key, app_secret=secret).problem()
    assert words in problem
    assert bool(problem) is bool(words)
    if problem:
        assert "can be reached from elsewhere" in problem
        with pytest.raises(Exception, match="can be reached from elsewhere"):
            Server(Options(tmp_path, host=host, app_key=key, app_secret=secret))
        assert not list(tmp_path.iterdir())


def test_the_secret_that_is_suggested_is_long_enough_and_another_one_each_time(tmp_path: Path) -> None:
    """Whoever copies it has a good one, and not the same as everybody else."""
    options = Options(tmp_path, host="0.0.0.0", app_key=Secret("k"), app_secret=Secret("short"))
    suggested = [options.problem().rpartition(" ")[2] for _ in range(2)]
    assert len(set(suggested)) == 2
    assert all(len(text) >= SHORTEST_SECRET for text in suggested)
