-- The audit trail of challenges, defences, scores and allocations. Departures from the owner's table:
--   ts           UTC microseconds, set by the client.
--   chain        chain_id, seq, event_id, prev_hash, hash and canon as in agent_events.
--                They replace cryptographic_hash and previous_hash.
--   DEDUP        writing a record again is harmless. A different record under the same key would replace the first without an
--                error: that is what the chain finds.
--   MONTH, VARCHAR, no TTL as in trades.
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
