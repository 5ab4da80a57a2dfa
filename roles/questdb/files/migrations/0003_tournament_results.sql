-- One row a strategy and tournament. Departures from the owner's table:
--   ts           the event's own time in UTC microseconds, so that a row that is written again carries the same.
--   chain        which record of the journal the row is taken from, with all that is needed to check it by itself:
--                chain_id of that journal, seq of the record, event_id of the event in it (<agent>/<run>-<sequence>), prev_hash and
--                hash of the records before and up to this one, in hex, canon the exact bytes that were hashed.
--   DEDUP        a result that is sent again leaves one row a strategy; strategy_id is a key, because one record holds the scores
--                of all strategies.
--   MONTH        a tournament yields some dozens of rows; a partition a day would be all overhead.
--   VARCHAR      UTF-8 as it was sent; STRING is stored as UTF-16.
--   no TTL       a jump of the clock must not delete history.
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
DEDUP UPSERT KEYS(ts, chain_id, seq, strategy_id);

-- verify: SELECT count() = 14 FROM table_columns('tournament_results')
-- verify: SELECT count() = 4 FROM table_columns('tournament_results') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'tournament_results'
