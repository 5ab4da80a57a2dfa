# SPDX-License-Identifier: Apache-2.0
"""What configuration is taken, and what is said of the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from station import config
from station.config import AgentService, FeedService, RecorderService
from station.errors import StationError

FEED: dict[str, Any] = {
    "kind": "feed",
    "name": "replay",
    "stream": "md:replay",
    "metrics_port": 9201,
    "feed": {
        "source": "replay",
        "symbols": ["EURUSD"],
        "interval": "1h",
        "files": [{"path": "/srv/bars/eurusd.csv", "origin": "dukascopy", "stamped": "open", "symbol": "EURUSD"}],
        "speed": 3600,
    },
}
AGENT: dict[str, Any] = {
    "kind": "agent",
    "name": "momentum",
    "stream": "strat:momentum",
    "metrics_port": 9202,
    "strategy": {"name": "Momentum", "fast": 5, "slow": 20},
    "reads": ["md:replay"],
    "symbols": ["EURUSD"],
}
RECORDER: dict[str, Any] = {
    "kind": "recorder",
    "name": "recorder",
    "metrics_port": 9203,
    "anchors": [{"name": "vps", "address": "10.0.0.1:9310"}],
}
LIVE = {"symbols": ["BTC/USD"], "interval": "1m", "market_hours": "always"}


def judged(services: list[Any]) -> list[str]:
    """Return what is wrong with services that are plain data."""
    return [str(fault) for fault in config.check_services(services)]


def changed(service: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a service with one key set, or taken out by None."""
    new = copy.deepcopy(service)
    *above, last = path.split(".")
    holder: Any = new
    for step in above:
        holder = holder[int(step)] if step.isdigit() else holder[step]
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return new


def written(folder: Path, *services: dict[str, Any]) -> list[Path]:
    paths = []
    for number, service in enumerate(services):
        paths.append(folder / f"{number}.yml")
        paths[-1].write_text(yaml.safe_dump(service, sort_keys=False))
    return paths


def test_a_host_of_three_services_is_taken(tmp_path: Path) -> None:
    assert config.check(written(tmp_path, FEED, AGENT, RECORDER)) == []
    assert config.check([tmp_path]) == []
    assert judged([FEED, AGENT, RECORDER]) == []


def test_each_kind_is_read_as_its_own_model(tmp_path: Path) -> None:
    feed, agent, recorder = (config.load(path) for path in written(tmp_path, FEED, AGENT, RECORDER))
    assert isinstance(feed, FeedService)
    assert isinstance(agent, AgentService)
    assert isinstance(recorder, RecorderService)
    assert feed.state_folder == "/var/lib/station/replay"
    assert (agent.strategy.slow, agent.redis.user) == (20, "agents")
    assert (recorder.stream, recorder.redis.password_file) == ("journal", "redis-journal")


@pytest.mark.parametrize(
    "feed",
    [
        LIVE | {"source": "exchange", "exchange": "kraken"},
        LIVE | {"source": "tiingo", "market": "crypto", "level": 5, "requests_an_hour": 5000},
        {
            "source": "replay",
            "symbols": ["EURUSD"],
            "interval": "1h",
            "table": {"origin": "dukascopy"},
            "speed": 0,
        },
    ],
)
def test_every_source_of_bars_is_taken(feed: dict[str, Any]) -> None:
    assert judged([FEED | {"feed": feed}]) == []


@pytest.mark.parametrize(
    ("service", "path", "value", "words"),
    [
        (FEED, "nam", "x", 'nam: unknown key; did you mean "name"?'),
        (FEED, "redis", {"sockett": "/run/x"}, 'redis.sockett: unknown key; did you mean "socket"?'),
        (FEED, "feed.speeed", 2, 'feed.speeed: unknown key; did you mean "speed"?'),
        (FEED, "feed.files.0.pathh", "/x", 'feed.files.0.pathh: unknown key; did you mean "path"?'),
        (AGENT, "strategy.xyz", 1, "strategy.xyz: unknown key; there is band, fast, name, slow"),
        (FEED, "kind", "feeed", 'kind: "feeed" is none; did you mean "feed"?'),
        (FEED, "kind", None, "kind: missing; set it to one of feed, agent, recorder"),
        (FEED, "metrics_port", None, "metrics_port: missing; set it to the loopback port"),
        (FEED, "feed.files.0.stamped", None, "feed.files.0.stamped: missing; set it to open or close"),
        (FEED, "feed.source", "tingo", 'feed: "tingo" is none; did you mean "tiingo"?'),
        (FEED, "feed.source", None, 'feed: says no "source"; set it to'),
        (AGENT, "strategy.name", "Momentun", 'strategy.name: "Momentun" is none; did you mean "Momentum"?'),
        (FEED, "metrics_port", "9201", 'metrics_port: "9201" is wrong; input should be a valid integer'),
        (FEED, "metrics_port", 80, "metrics_port: 80 is wrong; input should be greater than or equal to 1024"),
        (FEED, "watchdog_s", True, "watchdog_s: True is wrong; input should be a valid integer"),
        (FEED, "name", "Replay", 'name: "Replay" is no name; take a-z'),
        (FEED, "stream", "strat:replay", 'stream: "strat:replay" is not for this kind of service; write md:replay'),
        (FEED, "stream", "md:other", 'stream: "md:other" is not named after the service; write md:replay'),
        (AGENT, "stream", "md:momentum", "write strat:momentum or exec:momentum or tourn:momentum"),
        (FEED, "cpus", "2-", 'cpus: "2-" is no CPU list; write one such as 2-3,8'),
        (FEED, "cpus", "5-2", 'cpus: "5-2" counts down in 5-2; write 2-5'),
        (FEED, "state_folder", "var", 'state_folder: "var" is no absolute path'),
        (
            FEED | {"feed": LIVE | {"source": "exchange", "exchange": "kraken"}},
            "feed.market_hours",
            "NYSE",
            'feed.market_hours: "NYSE" is no market; write always, unknown or a market such as XNYS',
        ),
        (FEED, "feed.interval", "1 hour", 'feed.interval: "1 hour" is no interval; write a number and s, m, h or d'),
        (FEED, "feed.symbols", [], "feed.symbols: is empty; name at least one"),
        (FEED, "feed.symbols", ["A", "A"], "feed.symbols: A is there twice; name it once"),
        (FEED, "feed.files", None, "feed.files: are missing, and table too; give one of them"),
        (FEED, "feed.table", {"origin": "x"}, "feed.files: are there as well as table; give one of them"),
        (FEED, "feed.files.0.zone", "Mars", 'feed.files.0.zone: "Mars" is no time zone'),
        (
            changed(FEED, "feed.files.0.unit", "s"),
            "feed.files.0.time_format",
            "%Y",
            "feed.files.0.time_format: is for times that are text, unit for times that are numbers; give one of them",
        ),
        (FEED, "feed.speed", -1, "feed.speed: -1 is wrong; input should be greater than or equal to 0"),
        (FEED, "deadline_ms", 30_000, "deadline_ms: 30000 is not below watchdog_s, 30 s"),
        (AGENT, "budget_ms", 51, "budget_ms: 51 is more than deadline_ms, 50; lower it"),
        (AGENT, "deadline_ms", 30_000, "deadline_ms: 30000 is not below watchdog_s, 30 s"),
        (AGENT, "reads", ["strat:momentum"], "reads: strat:momentum is what it writes"),
        (AGENT, "reads", ["md:a", "md:a"], "reads: md:a is there twice; name it once"),
        (AGENT, "reads", ["bars"], 'reads.0: "bars" is no stream; a stream is <family>:<name of the service>'),
        (AGENT, "strategy.fast", 20, "strategy.fast: 20 is not less than slow, 20"),
        (AGENT, "strategy.band", 1, "strategy.band: 1 is wrong; input should be less than 1"),
        (RECORDER, "stream", "md:recorder", 'stream: "md:recorder" is none; there is journal'),
        (RECORDER, "questdb", {"address": "localhost"}, 'questdb.address: "localhost" is no address'),
        (RECORDER, "anchors", [{"name": "a", "socket": "/b"}] * 2, "anchors: a is there twice"),
        (RECORDER, "anchors.0.address", "vps", 'anchors.0.address: "vps" is no address; write <host>:<port>'),
        (RECORDER, "anchors.0.address", None, "anchors.0.address: is missing, and socket too; give one of them"),
        (RECORDER, "anchors.0.socket", "/b", "anchors.0.address: is there as well as socket; give one of them"),
        (FEED, "redis", "/run/redis.sock", 'redis: "/run/redis.sock" is wrong; input should be an object'),
    ],
)
def test_a_mistake_is_one_line_with_the_file_the_key_and_what_to_do(
    tmp_path: Path, service: dict[str, Any], path: str, value: Any, words: str
) -> None:
    (file,) = written(tmp_path, changed(service, path, value))
    (problem,) = config.check([file])
    assert problem.startswith(str(file))
    assert words in problem
    assert "\n" not in problem


def test_a_recorder_with_another_socket_is_still_the_user_journal(tmp_path: Path) -> None:
    (path,) = written(tmp_path, RECORDER | {"redis": {"socket": "/run/redis-bus/other.sock"}})
    redis = config.load(path).redis
    assert (redis.socket, redis.user, redis.password_file) == (
        "/run/redis-bus/other.sock",
        "journal",
        "redis-journal",
    )


def test_a_secret_in_place_of_its_name_is_not_repeated() -> None:
    (problem,) = judged([changed(FEED, "redis", {"password_file": "hunter2 hunter2"})])
    assert "redis.password_file: is no name of a credential" in problem
    assert "hunter2" not in problem


def test_all_mistakes_of_a_file_are_said_at_once_and_load_counts_them(tmp_path: Path) -> None:
    (file,) = written(tmp_path, changed(changed(FEED, "metrics_port", 1), "watchdogs", 3))
    assert len(config.check([file])) == 2
    with pytest.raises(StationError, match=r"and 1 more: station config check"):
        config.load(file)


def test_the_line_of_a_mistake_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.yml"
    file.write_text("kind: feed\nname: replay\nfeed:\n  source: replay\n  speeed: 1\n")
    problems = config.check([file])
    assert any(problem.startswith(f"{file}:5: feed.speeed:") for problem in problems)
    assert any(problem.startswith(f"{file}:3: feed.symbols: missing") for problem in problems)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nname: b\n", ':2: "name" is written a second time, first in line 1; keep one of them'),
        ("feed:\n  a: 1\n  b: 2\n  a: 3\n", ':4: "a" is written a second time, first in line 2'),
        ("a: [1\n", "no YAML"),
        ("a: &a [*a]\n", "an alias contains itself"),
        ("", "is no service; write keys and values"),
        ("- 1\n", "is no service"),
        ("!!python/object/apply:os.system ['true']\n", "no YAML: could not determine a constructor"),
        ("a: \x00\n", "no YAML"),
    ],
)
def test_a_file_that_is_no_service_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "a.yml"
    file.write_text(text)
    (problem,) = config.check([file])
    assert problem.startswith(str(file))
    assert words in problem


def not_there(file: Path) -> None:
    file.unlink()


def not_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")


@pytest.mark.parametrize("damage", [not_there, not_text])
def test_a_file_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    (file,) = written(tmp_path, FEED)
    damage(file)
    (problem,) = config.check([file])
    assert problem.startswith(f"{file}: cannot be read: ")


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ([FEED, AGENT | {"metrics_port": 9201}], "metrics_port: 9201 is taken by"),
        ([FEED, FEED | {"metrics_port": 9300}], "stream: md:replay is taken by"),
        ([FEED, AGENT | {"state_folder": "/var/lib/station/replay"}], "a folder has one owner"),
        ([FEED, AGENT | {"reads": ["md:replai"]}], 'no service writes md:replai; did you mean "md:replay"?'),
        ([FEED, AGENT | {"symbols": ["EURUSB"]}], 'none of md:replay sends EURUSB; did you mean "EURUSD"?'),
    ],
)
def test_services_that_do_not_fit_together_are_refused(
    tmp_path: Path, services: list[dict[str, Any]], words: str
) -> None:
    for problems in (config.check(written(tmp_path, *services)), judged(services)):
        assert any(words in problem for problem in problems)


def test_of_two_owners_the_other_is_named_with_its_line(tmp_path: Path) -> None:
    first, second = written(tmp_path, FEED, AGENT | {"metrics_port": 9201})
    (problem,) = config.check([first, second])
    assert problem == (f"{second}:4: metrics_port: 9201 is taken by {first}:4; a port has one listener; choose another")


def test_an_agent_alone_is_not_blamed_for_the_files_that_are_not_there(tmp_path: Path) -> None:
    assert config.check(written(tmp_path, AGENT)) == []


def test_an_agent_that_also_reads_another_agent_may_have_symbols_that_no_feed_sends() -> None:
    other = AGENT | {"name": "other", "stream": "strat:other", "metrics_port": 9300}
    reader = AGENT | {"reads": ["md:replay", "strat:other"], "symbols": ["GBPUSD"]}
    assert judged([FEED, other, reader]) == []


def test_of_a_broken_set_only_what_is_broken_is_said() -> None:
    problems = judged([FEED | {"metrics_port": 1}, AGENT])
    assert len(problems) == 1
    assert problems[0].startswith("services_instances.0: metrics_port: 1 is wrong")


def test_each_value_is_shown_with_where_it_is_from(tmp_path: Path) -> None:
    (file,) = written(tmp_path, AGENT)
    shown = {value.key: (value.value, value.source) for value in config.explain(file)}
    assert shown["metrics_port"] == ("9202", f"{file}:4")
    assert shown["strategy.slow"] == ("20", f"{file}:8")
    assert shown["strategy.band"] == ("0.0001", "default")
    assert shown["watchdog_s"] == ("30", "default")
    assert shown["state_folder"] == ("/var/lib/station/momentum", "default")
    assert shown["reads"] == ("md:replay", f"{file}:9")
    assert shown["cpus"] == ("-", "default")


def test_a_setting_in_a_list_is_shown_with_its_number(tmp_path: Path) -> None:
    (file,) = written(tmp_path, RECORDER)
    shown = {value.key: value.value for value in config.explain(file)}
    assert shown["anchors.0.address"] == "10.0.0.1:9310"


def test_a_service_cannot_be_changed(tmp_path: Path) -> None:
    (file,) = written(tmp_path, FEED)
    with pytest.raises(ValueError, match="frozen"):
        config.load(file).name = "other"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from([FEED, AGENT, RECORDER]), st.data(), JSON)
def test_whatever_stands_in_a_key_it_is_taken_or_refused_in_lines(
    service: dict[str, Any], data: Any, value: Any
) -> None:
    key = data.draw(st.sampled_from(sorted(service)) | st.text(max_size=5))
    problems = judged([service | {key: value}])
    assert all(problem.startswith("services_instances.0") and "; " in problem for problem in problems)
