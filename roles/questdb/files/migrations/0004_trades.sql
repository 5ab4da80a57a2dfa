-- One row a fill. Departures from the owner's table:
--   ts           the event's own time in UTC microseconds, so that a row that is written again carries the same.
--   chain        which record of the journal the row is taken from, with all that is needed to check it by itself:
--                chain_id of that journal, seq of the record, event_id of the event in it (<agent>/<run>-<sequence>), prev_hash and
--                hash of the records before and up to this one, in hex, canon the exact bytes that were hashed.
--   DEDUP        a fill that is written again after a crash is one row, not two.
--   execution_latency_ns  instead of execution_latency_ms INT: whole milliseconds cannot show a budget of 20 ms end to end.
--   MONTH        some hundreds of fills a day do not fill a partition a day.
--   no TTL       trades are kept for good. Exact decimals stand in canon; the DOUBLE columns are for queries.
CREATE TABLE IF NOT EXISTS trades (
  ts TIMESTAMP,
  chain_id SYMBOL CAPACITY 32 CACHE,
  seq LONG,
  event_id VARCHAR,
  symbol SYMBOL CAPACITY 4096 CACHE,
  side SYMBOL CAPACITY 8 CACHE,
  quantity DOUBLE,
  price DOUBLE,
  commission DOUBLE,
  slippage DOUBLE,
  strategy_id SYMBOL CAPACITY 1024 CACHE,
  execution_latency_ns LONG,
  prev_hash VARCHAR,
  hash VARCHAR,
  canon VARCHAR
) TIMESTAMP(ts) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts, chain_id, seq);

-- verify: SELECT count() = 15 FROM table_columns('trades')
-- verify: SELECT count() = 3 FROM table_columns('trades') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'trades'
