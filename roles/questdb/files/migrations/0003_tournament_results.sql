-- One row a strategy and tournament. Departures from the owner's table:
--   ts           UTC microseconds, set by the client.
--   chain        chain_id, seq, event_id, prev_hash, hash and canon as in agent_events.
--   DEDUP        a result that is sent again leaves one row.
--   MONTH        a tournament yields some dozens of rows; a partition a day would be all overhead.
--   VARCHAR      instead of STRING. No TTL.
CREATE TABLE IF NOT EXISTS tournament_results (
  ts TIMESTAMP,
  chain_id SYMBOL CAPACITY 32 CACHE,
  seq LONG,
  event_id VARCHAR,
  tournament_id SYMBOL CAPACITY 4096 CACHE,
  strategy_id SYMBOL CAPACITY 1024 CACHE,
  prediction_accuracy DOUBLE,
  challenge_resilience DOUBLE,
  risk_adjusted_return DOUBLE,
  capital_allocation_percent DOUBLE,
  tournament_metrics VARCHAR,
  prev_hash VARCHAR,
  hash VARCHAR,
  canon VARCHAR
) TIMESTAMP(ts) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts, chain_id, seq);

-- verify: SELECT count() = 14 FROM table_columns('tournament_results')
-- verify: SELECT count() = 3 FROM table_columns('tournament_results') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'tournament_results'
