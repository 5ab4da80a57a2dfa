-- What the agents said and decided, one row an event. Departures from the owner's table:
--   ts           UTC microseconds, set by the client: a retried write must carry the same timestamp.
--   chain        chain_id, seq, prev_hash, hash and canon tie the row to the journal: canon holds the exact bytes that were hashed,
--                the other columns are projections of them. hash_prev and hash_current could not be checked, because
--                nothing said which bytes they cover.
--   event_id     the identity of the event, so that a consumer can tell a repeated delivery from a second event.
--   DEDUP        a batch that is sent again after a lost answer leaves one row.
--   DAY          the owner's HOUR makes 8,760 partitions a year, and each costs files and memory maps (questdb/questdb#4303).
--   VARCHAR      UTF-8 as it was sent; STRING is stored as UTF-16.
--   no TTL       a jump of the clock must not delete history.
CREATE TABLE IF NOT EXISTS agent_events (
  ts TIMESTAMP,
  chain_id SYMBOL CAPACITY 32 CACHE,
  seq LONG,
  event_id VARCHAR,
  agent_id SYMBOL CAPACITY 256 CACHE,
  event_type SYMBOL CAPACITY 256 CACHE,
  symbol SYMBOL CAPACITY 4096 CACHE,
  signal_strength DOUBLE,
  confidence DOUBLE,
  competitive_score DOUBLE,
  metadata VARCHAR,
  prev_hash VARCHAR,
  hash VARCHAR,
  canon VARCHAR
) TIMESTAMP(ts) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts, chain_id, seq);

-- verify: SELECT count() = 14 FROM table_columns('agent_events')
-- verify: SELECT count() = 3 FROM table_columns('agent_events') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'agent_events'
