-- Every event of the bus and the recorder's own notes, one row a record of the journal, written by the recorder
-- (services/station/journal). It takes the place of the owner's agent_events:
--   ts           the event's own time in UTC microseconds, so that a row that is written again carries the same; a bar's close.
--   seq          number of the record, from 1 without a gap.
--   recorded     when the recorder got it, UTC microseconds.
--   stream       where it was on the bus.
--   agent_id, type  who said it, and what kind of event it is.
--   hash         of this record and all before it, in hex: services/station/journal/chain.py says of which bytes. The owner's hash_prev
--                and hash_current could not be checked, because nothing said which bytes they cover; the hash before is that of seq - 1.
--   record       the exact bytes that were hashed, canonical JSON. The other columns are projections of it for queries, and all that
--                only some events have (symbol, signal strength, confidence) is found there.
--   DEDUP        a batch that is sent again after a lost answer leaves one row.
--   DAY          the owner's HOUR makes 8,760 partitions a year, and each costs files and memory maps (questdb/questdb#4303).
--   VARCHAR      UTF-8 as it was sent; STRING is stored as UTF-16.
--   no TTL       a jump of the clock must not delete history.
-- The services make the same table if it is not there; a unit test compares the two statements.
CREATE TABLE IF NOT EXISTS journal (
  ts TIMESTAMP,
  seq LONG,
  recorded TIMESTAMP,
  stream SYMBOL CAPACITY 256,
  agent_id SYMBOL CAPACITY 256,
  type SYMBOL CAPACITY 64,
  hash VARCHAR,
  record VARCHAR
) TIMESTAMP(ts) PARTITION BY DAY WAL
DEDUP UPSERT KEYS(ts, seq);

-- verify: SELECT count() = 8 FROM table_columns('journal')
-- verify: SELECT count() = 2 FROM table_columns('journal') WHERE upsertKey
-- verify: SELECT walEnabled AND dedup FROM tables() WHERE table_name = 'journal'
