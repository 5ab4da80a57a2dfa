-- Bars of every instrument, one row a bar, written by the recorder (services/station/journal). It takes the place of the owner's ohlcv:
--   ts           the close of the bar in UTC microseconds; a bar stamped at its open looks into the future.
--   source       where the bar is from, in one name instead of exchange and data_source.
--   interval     length in microseconds: without it an hourly and a daily bar of the same close would replace each other.
--   open ... volume  DOUBLE, for queries. The exact decimals stand in the record.
--   seq          number of the record in the table journal, which also says when the bar could first have been known.
--   DEDUP        a bar delivered twice is one row, a corrected bar replaces its predecessor, two sources stay side by side.
--   MONTH        the owner's DAY makes thousands of partitions from a few years of daily bars, and each costs files and
--                memory maps (capacity planning, questdb/questdb#4303).
--   no TTL       a jump of the clock must not delete history.
-- The services make the same table if it is not there; a unit test compares the two statements.
CREATE TABLE IF NOT EXISTS bars (
  ts TIMESTAMP,
  symbol SYMBOL CAPACITY 4096,
  source SYMBOL CAPACITY 64,
  "interval" LONG,
  open DOUBLE,
  high DOUBLE,
  low DOUBLE,
  close DOUBLE,
  volume DOUBLE,
  seq LONG
) TIMESTAMP(ts) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts, symbol, source, "interval");

-- verify: SELECT count() = 10 FROM table_columns('bars')
-- verify: SELECT count() = 4 FROM table_columns('bars') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'bars'
