"""Amounts of memory and CPU as people write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from hive.core import amounts
from hive.core.limits import Portion

CALM = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MB, GB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        pytest.param("512MB", 512 * MB, id="megabytes"),
        pytest.param("1.5GB", 1536 * MB, id="a fraction"),
        pytest.param("2GiB", 2 * GB, id="with an i"),
        pytest.param("300K", 300 * 1024, id="a letter alone"),
        pytest.param("1T", 1 << 40, id="a terabyte"),
        pytest.param("64mib", 64 * MB, id="small letters"),
        pytest.param("64 mb", 64 * MB, id="a space before the unit"),
        pytest.param(" 1g ", GB, id="spaces around"),
    ],
)
def test_a_size_is_read(written, meant):
    assert amounts.size(written) == meant


@pytest.mark.parametrize(
    ("read", "written", "told"),
    [
        pytest.param(
            amounts.size,
            "512 mega",
            "must be a size such as `512MB` or `2GB`, not '512 mega'",
            id="a word for a unit",
        ),
        pytest.param(
            amounts.size,
            512,
            "needs a unit: a size such as `512MB` or `2GB`, not 512",
            id="a number alone",
        ),
        pytest.param(amounts.size, 1.5, "needs a unit: .*, not 1.5", id="a fraction alone"),
        pytest.param(amounts.size, "512", "needs a unit: .*, not '512'", id="a number in quotes"),
        pytest.param(amounts.size, "", "must be a size .*, not ''", id="nothing"),
        pytest.param(amounts.size, "-1GB", "must be a size .*, not '-1GB'", id="a minus"),
        pytest.param(amounts.size, "50%", "must be a size .*, not '50%'", id="a share"),
        pytest.param(amounts.size, "5B", "must be a size", id="bytes"),
        pytest.param(amounts.size, "٣MB", "must be a size", id="digits of another script"),
        pytest.param(amounts.size, "5\u212a", "must be a size", id="the sign for Kelvin"),
        pytest.param(amounts.size, True, "must be a size such as `512MB` or `2GB`$", id="a truth"),
        pytest.param(amounts.size, ["1GB"], "must be a size such as `512MB` or `2GB`$", id="list"),
        pytest.param(amounts.size, "x" * 60, f"not '{'x' * 40}…'", id="a long text is cut"),
        pytest.param(amounts.memory, "0MB", "must be 1MB or more", id="no memory"),
        pytest.param(amounts.memory, "512K", "must be 1MB or more", id="next to none"),
        pytest.param(amounts.soft, "0%", "above 0% and at most 100% of `memory`", id="soft: none"),
        pytest.param(amounts.soft, "120%", "at most 100% of `memory`, not '120%'", id="soft: more"),
        pytest.param(amounts.soft, 0.8, "needs a unit: a share such as `80%`", id="soft: a number"),
        pytest.param(amounts.soft, "1K", "must be 1MB or more", id="soft: next to none"),
        pytest.param(amounts.reserve, "101%", "at most 100% of the machine", id="reserve: more"),
        pytest.param(amounts.reserve, "all", "must be a share such as `75%`", id="reserve: a word"),
        pytest.param(amounts.shared_memory, "0%", "above 0%, not '0%'", id="none for all"),
        pytest.param(amounts.shared_memory, "1KB", "must be 1MB or more", id="1K for all"),
        pytest.param(amounts.shared_memory, 75, "needs a unit: a share", id="75 of what"),
        pytest.param(amounts.shared_cpu, "150%", "at most 100% of the machine", id="cpu: more"),
        pytest.param(amounts.shared_cpu, "0%", "must be 1% or more", id="no share of the cpu"),
        pytest.param(amounts.shared_cpu, 0, "must be 0.01 cores or more, not 0", id="no cores"),
        pytest.param(amounts.shared_cpu, "2", "a share such as `50%`, or a number", id="in quotes"),
        pytest.param(amounts.cpu, -1, "must be 0.01 cores or more, not -1", id="fewer than none"),
        pytest.param(amounts.cpu, "0.5%", "must be 1% or more, not '0.5%'", id="next to none"),
        pytest.param(amounts.cpu, "1.5", "a number of cores, or a share", id="cores in quotes"),
        pytest.param(amounts.cpu, True, "a share of one such as `100%`$", id="a truth for cores"),
        pytest.param(amounts.cpu, math.nan, "a number of cores", id="not a number"),
        pytest.param(amounts.cpu, -(10**400), "0.01 cores or more$", id="no float is so small"),
        pytest.param(amounts.percent, "forty", "must be percent of the machine", id="a word"),
        pytest.param(amounts.percent, "1.5c", "must be percent of the machine", id="a unit"),
        pytest.param(amounts.percent, "0", "must be 1% or more, not '0%'", id="0 percent"),
        pytest.param(amounts.dollars, "20", "must be an amount of money such as", id="of what"),
        pytest.param(amounts.dollars, "$0", "an amount of money such as", id="none"),
        pytest.param(amounts.dollars, -1, "an amount of money .*, not -1", id="a debt"),
        pytest.param(amounts.dollars, math.nan, "an amount of money", id="no number of dollars"),
        pytest.param(amounts.dollars, False, "an amount of money", id="a truth for dollars"),
        pytest.param(amounts.percent, "400", "at most 100% of the machine, not '400%'", id="400"),
    ],
)
def test_what_is_no_amount_is_refused_with_what_would_be(read, written, told):
    with pytest.raises(ValueError, match=told):
        read(written)


@pytest.mark.parametrize(
    ("read", "written", "meant"),
    [
        pytest.param(amounts.memory, "1MB", MB, id="the least memory"),
        pytest.param(amounts.soft, "80%", 0.8, id="soft: a share"),
        pytest.param(amounts.soft, "100%", 1.0, id="soft: all of it"),
        pytest.param(amounts.soft, "400MB", 400 * MB, id="soft: a size"),
        pytest.param(amounts.reserve, "2GB", Portion(amount=2 * GB), id="a reserve"),
        pytest.param(amounts.reserve, "0MB", Portion(amount=0), id="no reserve"),
        pytest.param(
            amounts.shared_memory, "75%", Portion(amount=0.75, of_machine=True), id="memory share"
        ),
        pytest.param(amounts.shared_memory, "4GB", Portion(amount=4 * GB), id="a size for all"),
        pytest.param(
            amounts.shared_cpu, "62.5%", Portion(amount=0.625, of_machine=True), id="cpu share"
        ),
        pytest.param(amounts.shared_cpu, 2, Portion(amount=2.0), id="cores for all"),
        pytest.param(amounts.cpu, "100%", 1.0, id="one core"),
        pytest.param(amounts.cpu, "250%", 2.5, id="more than one"),
        pytest.param(amounts.cpu, 0.5, 0.5, id="half a core"),
        pytest.param(amounts.cpu, 10**400, 1e9, id="no float is so large"),
        pytest.param(amounts.dollars, "$20", 20.0, id="dollars"),
        pytest.param(amounts.dollars, " $ 12.50 ", 12.5, id="and cents"),
        pytest.param(amounts.dollars, 3, 3.0, id="a number of dollars"),
        pytest.param(amounts.dollars, 10**400, 1e9, id="no float is so large a sum"),
        pytest.param(amounts.percent, "40", Portion(amount=0.4, of_machine=True), id="percent"),
        pytest.param(amounts.percent, " 40% ", Portion(amount=0.4, of_machine=True), id="a sign"),
    ],
)
def test_an_amount_is_read(read, written, meant):
    found = read(written)

    assert found == meant
    assert type(found) is type(meant)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (512 * MB, "512MB"),
        (1536 * MB, "1.5GB"),
        (2 * GB, "2GB"),
        (1 << 40, "1TB"),
        (100 * MB, "100MB"),
        (300 * 1024, "300KB"),
        (0, "0KB"),
        (23.54 * GB, "23.54GB"),
    ],
)
def test_a_size_is_written_briefly(number, text):
    assert amounts.as_size(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1 core"), (2.0, "2 cores"), (0.5, "0.5 cores"), (1e9, "1000000000 cores")],
)
def test_cores_are_written_as_they_are_said(number, text):
    assert amounts.as_cores(number) == text


@CALM
@given(some.integers(MB, 1 << 50))
def test_what_is_written_reads_back_nearly(number):
    assert amounts.size(amounts.as_size(number)) == pytest.approx(number, rel=0.006)


@CALM
@given(some.integers(1, 1023), some.sampled_from(list(amounts.UNITS)))
def test_a_whole_number_of_units_reads_back_exactly(many, unit):
    number = many * amounts.UNITS[unit]

    assert amounts.as_size(number) == f"{many}{unit}B"
    assert amounts.size(f"{many}{unit}B") == number


READERS = (
    *(amounts.size, amounts.memory, amounts.soft, amounts.reserve, amounts.shared_memory),
    *(amounts.shared_cpu, amounts.cpu),
)


@CALM
@given(
    some.sampled_from(READERS),
    some.text() | some.integers() | some.floats() | some.from_regex(r"[0-9.]{1,5} ?([kmgt%])?b?"),
)
def test_anything_is_an_amount_or_refused(read, value):
    try:
        found = read(value)
    except ValueError as error:
        assert str(error).startswith(("must be", "needs a unit"))  # noqa: PT017 - both are good
    else:
        number = found.amount if isinstance(found, Portion) else found
        assert 0 <= number < math.inf
