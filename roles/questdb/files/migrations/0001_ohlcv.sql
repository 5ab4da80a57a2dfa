-- Bars of every instrument, one row a bar. Departures from the owner's table:
--   ts           the close of the bar in UTC microseconds, set by the client; a bar stamped at its open looks into the future.
--   timeframe    '1h', '1d': without it an hourly and a daily bar of the same close would replace each other.
--   available_at when the bar could first have been known, for tests that must not look ahead.
--   DEDUP        a bar delivered twice is one row, a corrected bar replaces its predecessor, two sources stay side by side.
--   MONTH        the owner's DAY makes thousands of partitions from a few years of daily bars, and each costs files and
--                memory maps (capacity planning, questdb/questdb#4303).
--   capacities   declared for the small symbol columns as well as for sym.
CREATE TABLE IF NOT EXISTS ohlcv (
  ts TIMESTAMP,
  sym SYMBOL CAPACITY 4096 CACHE,
  timeframe SYMBOL CAPACITY 32 CACHE,
  o DOUBLE,
  h DOUBLE,
  l DOUBLE,
  c DOUBLE,
  v DOUBLE,
  exchange SYMBOL CAPACITY 128 CACHE,
  data_source SYMBOL CAPACITY 64 CACHE,
  available_at TIMESTAMP
) TIMESTAMP(ts) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts, sym, timeframe, exchange, data_source);

-- verify: SELECT count() = 11 FROM table_columns('ohlcv')
-- verify: SELECT count() = 5 FROM table_columns('ohlcv') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'ohlcv'
