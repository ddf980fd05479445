"""When a signed link ends, as the link itself says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import quote, urlencode

import pytest
from cartoonize_pack.utils.links import expiry_of

HERE = "https://bucket.example/a/b.png"
NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
EPOCH = int(NOON.timestamp())
V4 = "20260301T110000Z"  # an hour before noon


def ends(query: str) -> float | None:
    """When the link with this query ends."""
    return expiry_of(f"{HERE}?{query}")


@pytest.mark.parametrize(
    "query",
    [
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k%2F20260301%2Feu-1%2Fs3%2Faws4_request&X-Amz-Date={V4}"
        "&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=abc",
        f"X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=k&X-Goog-Date={V4}&X-Goog-Expires=3600"
        "&X-Goog-SignedHeaders=host&X-Goog-Signature=abc",
        f"x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=k&x-oss-date={V4}&x-oss-expires=3600"
        "&x-oss-signature=abc",
        f"AWSAccessKeyId=k&Signature=a%2Bb%3D&Expires={EPOCH}",
        f"OSSAccessKeyId=k&Expires={EPOCH}&Signature=a%2Bb%3D",
        f"GoogleAccessId=k&Expires={EPOCH}&Signature=abc",
        f"Expires={EPOCH}&Signature=a-b~c_&Key-Pair-Id=K2",
        "sv=2024-11-04&st=2026-03-01T10%3A00%3A00Z&se=2026-03-01T12%3A00%3A00Z&sr=b&sp=r&sig=a%2Bb%3D",
        "se=2026-03-01T12:00:00Z&sig=abc",
        "se=2026-03-01T12:00:00.0000000Z&sig=abc",
        "se=2026-03-01T12:00:00&sig=abc",
        f"expires={EPOCH}&signature=a-b_c",
        f"signature=a-b_c&expires={EPOCH}",
        f"id=7&expires={EPOCH}&signature=a-b_c&name=expires",
    ],
    ids=[
        "S3 V4",
        "Google V4",
        "OSS V4",
        "S3 V2",
        "OSS V1",
        "Google V2",
        "CloudFront",
        "Azure",
        "Azure unescaped",
        "Azure with fractions",
        "Azure without zone",
        "our own",
        "our own turned round",
        "among others",
    ],
)
def test_every_kind_of_signed_link_says_when_it_ends(query: str) -> None:
    """All of these end at noon, in seconds since 1970, in whatever place of the world they are read."""
    assert ends(query) == EPOCH


@pytest.mark.parametrize(
    "value", ["2026-03-01T12:00Z", "2026-03-01T14:00:00+02:00", "2026-03-01T07:30:00-04:30", "2026-03-01T14:00+02:00"]
)
def test_azure_writes_times_without_seconds_and_in_other_zones_too(value: str) -> None:
    """Both are among the formats that Azure documents for "se", and its command line signs the first as typed."""
    assert ends(f"se={quote(value)}&sig=abc") == EPOCH


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=timezone.utc)),
        ("2028-02-29", datetime(2028, 2, 29, tzinfo=timezone.utc)),
        ("2026-12-31T23:59:59Z", datetime(2026, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
        ("2026-07-01T00:00:00Z", datetime(2026, 7, 1, tzinfo=timezone.utc)),
    ],
)
def test_azure_may_name_a_day_alone(value: str, expected: datetime) -> None:
    """It ends when the day begins, in UTC, also in summer."""
    assert ends(f"sp=r&se={quote(value)}&sig=abc") == expected.timestamp()


@pytest.mark.parametrize("vendor", ["Amz", "Goog", "OSS"])
@pytest.mark.parametrize("seconds", [0, 1, 900, 604_800])
def test_a_lifetime_counts_from_the_date_beside_it(vendor: str, seconds: int) -> None:
    """Up to seven days, into the next month too."""
    begin = datetime(2026, 2, 28, 23, 59, 59, tzinfo=timezone.utc)
    query = {f"X-{vendor}-Date": f"{begin:%Y%m%dT%H%M%SZ}", f"X-{vendor}-Expires": seconds}
    expected = (begin + timedelta(seconds=seconds)).timestamp()
    assert ends(urlencode({**query, f"X-{vendor}-Signature": "abc"})) == expected


@pytest.mark.parametrize(
    "query",
    [
        f"x-amz-date={V4}&x-amz-expires=3600&x-amz-signature=abc",
        f"X-AMZ-DATE={V4}&X-AMZ-EXPIRES=3600&X-AMZ-SIGNATURE=abc",
        f"x-Amz-dAte={V4}&X-amz-Expires=3600&X-Amz-SIGNATURE=abc",
        f"X-GOOG-date={V4}&x-goog-EXPIRES=3600&X-Goog-Signature=abc",
        f"X-Oss-Date={V4}&X-Oss-Expires=3600&X-Oss-Signature=abc",
        f"EXPIRES={EPOCH}&SIGNATURE=abc",
        f"expires={EPOCH}&Signature=abc",
        f"Expires={EPOCH}&sig=abc",
        "SE=2026-03-01T12:00:00Z&Sig=abc",
    ],
)
def test_names_are_known_in_any_case(query: str) -> None:
    """Proxies and programs write them as they like."""
    assert ends(query) == EPOCH


@pytest.mark.parametrize(
    "link",
    [
        HERE,
        f"{HERE}?",
        f"{HERE}#expires={EPOCH}&signature=abc",
        f"{HERE}?id=7",
        f"{HERE}?expires=",
        f"{HERE}/expires={EPOCH}&signature=abc",
        "",
        "no link at all",
        "https://h.example",
    ],
)
def test_a_link_without_a_query_that_ends_says_nothing(link: str) -> None:
    """None is "it does not say so", not "never"."""
    assert expiry_of(link) is None


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Expires=3600&X-Amz-Signature=abc",
        f"X-Amz-Date={V4}&X-Amz-Signature=abc",
        f"X-Goog-Date={V4}&X-Amz-Expires=3600&X-Amz-Signature=abc",
        "X-Goog-Expires=3600&X-Goog-Signature=abc",
        "x-oss-expires=3600&x-oss-signature=abc",
        f"x-oss-date={V4}&x-oss-signature=abc",
        f"Expires={EPOCH}",
        f"expires={EPOCH}&id=7",
        f"Expires={EPOCH}&Key-Pair-Id=K2",
        f"Expires={EPOCH}&mysignature=abc",
        f"Expires={EPOCH}&signatures=abc",
        f"Expires={EPOCH}&x-signature=abc",
        "Signature=abc&Key-Pair-Id=K2",
        "Policy=eyJ9&Signature=abc&Key-Pair-Id=K2",
        "signature=abc",
        "se=2026-03-01T12:00:00Z",
        "se=2026-03-01T12:00:00Z&sv=2024-11-04&sp=r",
        "sig=abc&sv=2024-11-04&si=stored-policy",
        "st=2026-03-01T12:00:00Z&sig=abc",
        "se=&sig=abc",
        f"Expires=&Signature=abc&x={EPOCH}",
        f"X-Amz-Date=&X-Amz-Expires={EPOCH}&X-Amz-Signature=abc",
    ],
)
def test_half_of_the_parameters_says_nothing(query: str) -> None:
    """A time without a signature may mean anything, such as when a page was cached; nothing is guessed."""
    assert ends(query) is None


GARBAGE = ["soon", "", " ", "0x10", "12h", "1,5", "2026-03-01x", "--1", "1e", "٪", "%00"]


NUMBERS = {
    "lifetime": f"X-Amz-Date={V4}&X-Amz-Expires={{}}&X-Amz-Signature=abc",
    "end": "Expires={}&Signature=abc",
}


@pytest.mark.parametrize("value", [*GARBAGE, "2026-03-01T11:00:00Z"])
@pytest.mark.parametrize("place", list(NUMBERS))
def test_a_number_that_is_none_says_nothing(place: str, value: str) -> None:
    """Such a link is tried by asking for it."""
    assert ends(NUMBERS[place].format(quote(value))) is None


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "Infinity", "1e999"])
@pytest.mark.parametrize("place", list(NUMBERS))
def test_a_number_without_a_value_says_nothing(place: str, value: str) -> None:
    """ "expires in nan s" or "has expired inf days ago" helps nobody."""
    assert ends(NUMBERS[place].format(value)) is None


@pytest.mark.parametrize(
    "value",
    [*GARBAGE, str(EPOCH), "20260301T110000", "20260301", "2026-03-01T11:00:00Z", "20261301T110000Z"]
    + ["20260230T110000Z", "20260301T250000Z", "20260301T110000Z+", "20260301T110000+0100", "00000301T110000Z"],
)
@pytest.mark.parametrize("vendor", ["amz", "goog", "oss"])
def test_a_date_that_is_none_says_nothing(vendor: str, value: str) -> None:
    """Days that do not exist, other formats, other zones."""
    assert ends(f"x-{vendor}-date={quote(value)}&x-{vendor}-expires=60&x-{vendor}-signature=abc") is None


@pytest.mark.parametrize(
    "value",
    [*GARBAGE, str(EPOCH), "2026-13-01", "2026-02-29", "2026-03-01T", "2026-03-01T25:00:00Z", "T12:00:00Z"]
    + ["0000-01-01", "2026-03-01T12:60:00Z"],
)
def test_an_azure_time_that_is_none_says_nothing(value: str) -> None:
    """Neither a day nor a time of one."""
    assert ends(f"se={quote(value)}&sig=abc") is None
