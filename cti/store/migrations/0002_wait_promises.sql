-- What waiting callers were promised, and what came of it.

CREATE INDEX facts_promises ON cti.facts (at) WHERE kind = 'WaitPromised';

CREATE VIEW report.wait_promises AS
SELECT p.call_id, p.queue, p.promised_at, p.place, p.told, p.low_seconds, p.mean_seconds, p.high_seconds, p.came_of,
       CASE WHEN p.came_of IS NULL THEN NULL
            WHEN p.came_of = 'answered' THEN greatest(0, extract(epoch FROM p.answered_at - p.promised_at))
            ELSE greatest(0, extract(epoch FROM p.ended_at - p.promised_at)) END::double precision AS waited_seconds,
       CASE WHEN p.came_of = 'answered'
            THEN p.mean_seconds - greatest(0, extract(epoch FROM p.answered_at - p.promised_at)) END::double precision
         AS error_seconds,
       CASE WHEN p.came_of = 'answered'
            THEN greatest(0, extract(epoch FROM p.answered_at - p.promised_at)) BETWEEN p.low_seconds AND p.high_seconds END
         AS inside
  FROM (SELECT f.call_id, f.body ->> 'queue' AS queue, f.at AS promised_at, (f.body ->> 'place')::integer AS place,
               (f.body ->> 'told')::boolean AS told, (f.body ->> 'low')::double precision AS low_seconds,
               (f.body ->> 'mean')::double precision AS mean_seconds, (f.body ->> 'high')::double precision AS high_seconds,
               c.answered_at, c.ended_at,
               CASE WHEN c.call_id IS NULL THEN NULL
                    WHEN c.answered_at >= f.at AND c.queue = f.body ->> 'queue' THEN 'answered'
                    WHEN c.outcome IN ('abandoned', 'short_abandon') THEN 'abandoned'
                    ELSE 'other' END AS came_of
          FROM cti.facts f LEFT JOIN cti.calls c USING (call_id)
         WHERE f.kind = 'WaitPromised') AS p;

COMMENT ON VIEW report.wait_promises IS 'One row a promise: how long a waiting caller was expected to wait from then on, and what came of it. Each caller is promised once when joining a queue with a wait (told = false), and again with each announcement that says how long (told = true). Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.wait_promises.call_id IS 'The call, as in report.calls.';
COMMENT ON COLUMN report.wait_promises.queue IS 'The queue the caller waited in then.';
COMMENT ON COLUMN report.wait_promises.promised_at IS 'When.';
COMMENT ON COLUMN report.wait_promises.place IS 'The caller''s place then, 1 is next.';
COMMENT ON COLUMN report.wait_promises.told IS 'Whether the caller heard it.';
COMMENT ON COLUMN report.wait_promises.low_seconds IS 'Least of the range; one real wait in ten is shorter, if the promises are right.';
COMMENT ON COLUMN report.wait_promises.mean_seconds IS 'The expected wait.';
COMMENT ON COLUMN report.wait_promises.high_seconds IS 'Most of the range; one real wait in ten is longer.';
COMMENT ON COLUMN report.wait_promises.came_of IS 'answered (out of that queue), abandoned, or other (voicemail, callback, another queue, survival). NULL: the call is still there.';
COMMENT ON COLUMN report.wait_promises.waited_seconds IS 'From the promise to the answer; not answered: to the end of the call.';
COMMENT ON COLUMN report.wait_promises.error_seconds IS 'Expected less real wait; NULL unless answered.';
COMMENT ON COLUMN report.wait_promises.inside IS 'Whether the real wait lay within the range; NULL unless answered.';
