"""What the comparison of runs finds and leaves alone, on runs whose truth is known.

The runs are drawn from seeds: each has a factor of its own, as runs on one machine do.
"""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.comparison import MARGINS, Comparison, RunSample, compare, sight
from surefoot.core.histogram import Histogram
from surefoot.core.numbers import Numbers

REQUESTS = 1_000
NOISE = 0.03


def run(
    seed: str, *, slower: float = 1.0, tail_us: int = 0, errors: int = 0, base_us: float = 20_000
) -> dict[str, RunSample]:
    """Latencies around `base_us`; with `tail_us`, two in a hundred take that much longer."""
    numbers = Numbers(seed)
    shift = math.exp(NOISE * gauss(numbers))
    blocks = []
    for _ in range(REQUESTS // 50):
        block = Histogram()
        for _ in range(50):
            late = tail_us if numbers.unit() < 0.02 else 0
            block.record(round(base_us * slower * shift * math.exp(0.3 * gauss(numbers))) + late)
        blocks.append(block)
    return {"GET /": RunSample(tuple(blocks), errors)}


def gauss(numbers: Numbers) -> float:
    return math.sqrt(-2 * math.log(numbers.unit())) * math.cos(2 * math.pi * numbers.unit())


@pytest.fixture(scope="module")
def pool() -> list[dict[str, RunSample]]:
    return [run(f"a{number}") for number in range(20)]


def compared(
    pool: list[dict[str, RunSample]], others: list[dict[str, RunSample]], number: int
) -> Comparison:
    places = Numbers(f"choice {number}").below(len(pool), 40)
    chosen = list(dict.fromkeys(places))[:5]
    return compare([pool[place] for place in chosen], others, f"seed {number}")


def test_the_same_release_is_never_called_slower(pool: list[dict[str, RunSample]]) -> None:
    outcomes = []
    for number in range(10):
        order = list(dict.fromkeys(Numbers(f"aa {number}").below(20, 200)))[:10]
        runs = [pool[place] for place in order]
        outcomes.append(compare(runs[:5], runs[5:], f"seed {number}").outcome)
    assert "fail" not in outcomes
    assert outcomes.count("pass") > len(outcomes) / 4


def test_a_fifth_slower_is_found(pool: list[dict[str, RunSample]]) -> None:
    for number in range(3):
        slow = [run(f"b{number}.{one}", slower=1.2) for one in range(5)]
        found = compared(pool, slow, number)
        assert found.outcome == "fail"
        assert next(row.measure for row in found.rows if row.outcome == "fail") == "p50"


def test_a_longer_tail_is_found_at_the_tail_alone(pool: list[dict[str, RunSample]]) -> None:
    for number in range(3):
        tailed = [run(f"t{number}.{one}", tail_us=40_000) for one in range(5)]
        found = compared(pool, tailed, number)
        rows = {row.measure: row for row in found.rows}
        assert rows["p99"].outcome == "fail"
        assert rows["p50"].outcome != "fail"


def test_faster_passes(pool: list[dict[str, RunSample]]) -> None:
    fast = [run(f"f{one}", slower=0.5) for one in range(5)]
    assert compared(pool, fast, 1).outcome == "pass"


def test_a_change_below_the_floor_does_not_count() -> None:
    before = [run(f"s{one}", base_us=400) for one in range(5)]
    after = [run(f"u{one}", base_us=400, slower=1.5) for one in range(5)]
    found = compare(before, after, "seed")
    assert found.outcome == "pass"
    assert next(row for row in found.rows if row.measure == "p50").ratio == pytest.approx(1.5, 0.1)


def test_four_runs_tell_nothing(pool: list[dict[str, RunSample]]) -> None:
    found = compare(pool[:4], pool[4:9], "seed")
    assert (found.outcome, found.rows) == ("inconclusive", ())


def test_p99_of_few_requests_is_not_told(pool: list[dict[str, RunSample]]) -> None:
    short = [{"GET /": RunSample(one["GET /"].blocks[:19])} for one in pool[:10]]
    found = compare(short[:5], short[5:], "seed")
    assert "p99" not in {row.measure for row in found.rows}


def test_a_run_without_an_endpoint_does_not_pass(pool: list[dict[str, RunSample]]) -> None:
    empty: list[dict[str, RunSample]] = [{} for _ in range(5)]
    assert compare(pool[:5], empty, "seed").outcome == "inconclusive"


def test_more_errors_in_every_pair_are_found(pool: list[dict[str, RunSample]]) -> None:
    failing = [run(f"e{one}", errors=10) for one in range(5)]
    found = compare(pool[:5], failing, "seed")
    assert [row.outcome for row in found.rows if row.measure == "errors"] == ["fail"]


def test_errors_in_one_run_are_not_enough_to_tell(pool: list[dict[str, RunSample]]) -> None:
    failing = [*pool[5:9], run("e", errors=30)]
    found = compare(pool[:5], failing, "seed")
    assert [row.outcome for row in found.rows if row.measure == "errors"] == ["inconclusive"]


def test_many_endpoints_need_stronger_proof(pool: list[dict[str, RunSample]]) -> None:
    """What is just significant alone is not among many."""
    baseline = [{f"e{n}": pool[i]["GET /"] for n in range(8)} for i in range(5)]
    candidate = [{f"e{n}": pool[i]["GET /"] for n in range(8)} for i in range(5, 10)]
    assert compare(baseline, candidate, "seed", MARGINS[:1]).outcome != "fail"


def test_the_same_seed_gives_the_same_answer(pool: list[dict[str, RunSample]]) -> None:
    assert compare(pool[:5], pool[5:10], "one") == compare(pool[:5], pool[5:10], "one")


def test_the_interval_holds_the_ratio(pool: list[dict[str, RunSample]]) -> None:
    for row in compare(pool[:5], pool[5:10], "seed").rows:
        assert row.low <= row.ratio <= row.high


def test_the_sight_is_worse_where_runs_differ_more(pool: list[dict[str, RunSample]]) -> None:
    percents = {one.measure: one.percent for one in sight(pool[:10], "seed")}
    assert 5 < percents["p50"] < 20
    wild = [run(f"w{n}", slower=1 + n % 3) for n in range(10)]
    assert {one.measure: one.percent for one in sight(wild, "seed")}["p50"] > percents["p50"]
    more = sight(pool[:20], "seed", MARGINS[:1])[0].percent
    assert more < sight(pool[:5], "seed", MARGINS[:1])[0].percent


@settings(max_examples=5, deadline=None)
@given(st.text(max_size=20), st.integers(min_value=1, max_value=2**31))
def test_drawn_numbers_are_in_range_and_repeat(seed: str, limit: int) -> None:
    drawn = Numbers(seed).below(limit, 500)
    assert all(0 <= number < limit for number in drawn)
    again = Numbers(seed)
    assert drawn == again.below(limit, 200) + again.below(limit, 300)


def test_drawn_numbers_are_even() -> None:
    numbers = Numbers("even")
    assert statistics.fmean(numbers.unit() for _ in range(20_000)) == pytest.approx(0.5, abs=0.02)
    assert statistics.fmean(numbers.waits(2.0) for _ in range(20_000)) == pytest.approx(
        2.0, abs=0.1
    )
