-- The audit trail of challenges, defences and results (scores and allocations), one row a record. Departures from the owner's table:
--   ts           the event's own time in UTC microseconds, so that a row that is written again carries the same.
--   chain        which record of the journal the row is taken from, with all that is needed to check it by itself:
--                chain_id of that journal, seq of the record, event_id of the event in it (<agent>/<run>-<sequence>), prev_hash and
--                hash of the records before and up to this one, in hex, canon the exact bytes that were hashed.
--                They replace cryptographic_hash and previous_hash, of which nothing said which bytes they cover.
--   DEDUP        writing a record again is harmless. A different record under the same key would replace the first without an
--                error: that is what the chain finds.
--   MONTH        a tournament yields some dozens of rows; a partition a day would be all overhead.
--   VARCHAR      UTF-8 as it was sent; STRING is stored as UTF-16.
--   no TTL       a jump of the clock must not delete history.
CREATE TABLE IF NOT EXISTS tournament_audit (
  ts TIMESTAMP,
  chain_id SYMBOL CAPACITY 32 CACHE,
  seq LONG,
  event_id VARCHAR,
  tournament_id SYMBOL CAPACITY 4096 CACHE,
  strategy_id SYMBOL CAPACITY 1024 CACHE,
  event_type SYMBOL CAPACITY 64 CACHE,
  event_data VARCHAR,
  prev_hash VARCHAR,
  hash VARCHAR,
  canon VARCHAR
) TIMESTAMP(ts) PARTITION BY MONTH WAL
DEDUP UPSERT KEYS(ts, chain_id, seq);

-- verify: SELECT count() = 11 FROM table_columns('tournament_audit')
-- verify: SELECT count() = 3 FROM table_columns('tournament_audit') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'tournament_audit'
