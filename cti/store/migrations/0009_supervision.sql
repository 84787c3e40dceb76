-- What supervisors did, and what they are told.

CREATE INDEX facts_acts ON cti.facts (at DESC) WHERE kind = 'Acted';
CREATE INDEX facts_acts_subject ON cti.facts ((body->>'subject')) WHERE kind = 'Acted';

CREATE INDEX facts_beside_calls ON cti.facts ((body->>'call_id')) WHERE call_id IS NULL;

CREATE VIEW report.acts AS
SELECT f.journal_id || ':' || f.position AS act_id,
       f.at,
       f.body->>'by' AS by,
       f.body->>'role' AS role,
       f.body->>'act' AS act,
       f.body->>'subject' AS subject,
       f.body->>'queue' AS queue,
       coalesce((SELECT jsonb_object_agg(p->>0, p->>1) FROM jsonb_array_elements(f.body->'before') p), '{}') AS before,
       coalesce((SELECT jsonb_object_agg(p->>0, p->>1) FROM jsonb_array_elements(f.body->'after') p), '{}') AS after,
       coalesce(f.body->>'reason', '') AS reason
  FROM cti.facts f
 WHERE f.kind = 'Acted';

COMMENT ON VIEW report.acts IS 'The audit log: one row an act of a supervisor, an administrator or another user. Only ever grows.';
COMMENT ON COLUMN report.acts.act_id IS 'Names the act: journal and place in it.';
COMMENT ON COLUMN report.acts.at IS 'When it was done.';
COMMENT ON COLUMN report.acts.by IS 'The user name of who did it.';
COMMENT ON COLUMN report.acts.role IS 'The role of that user at that time.';
COMMENT ON COLUMN report.acts.act IS 'The operation of the API, such as call_watch or config_apply.';
COMMENT ON COLUMN report.acts.subject IS 'What it was done to: call:<id>, agent:<id>, queue:<name> and the like.';
COMMENT ON COLUMN report.acts.queue IS 'The queue by which it was allowed; null for acts that belong to none.';
COMMENT ON COLUMN report.acts.before IS 'What was changed, as it was: an object of texts.';
COMMENT ON COLUMN report.acts.after IS 'The same as it is since.';
COMMENT ON COLUMN report.acts.reason IS 'What the user gave as the reason; may be empty.';

CREATE FUNCTION cti.keep_acts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is never changed' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION cti.keep_acts() IS 'Refuses to change or delete a line of the audit log.';

CREATE TRIGGER keep_acts BEFORE UPDATE OR DELETE ON cti.facts
    FOR EACH ROW WHEN (OLD.kind = 'Acted') EXECUTE FUNCTION cti.keep_acts();

CREATE VIEW report.legs AS
SELECT s.call_id,
       'caller' AS leg,
       coalesce(s.body->>'caller_number', '') AS who,
       coalesce(s.body->>'direction', 'inbound') AS direction,
       s.at AS began_at,
       s.at AS answered_at,
       (SELECT min(e.at) FROM cti.facts e WHERE e.call_id = s.call_id AND e.kind = 'CallEnded') AS ended_at,
       '' AS mode
  FROM cti.facts s WHERE s.kind = 'CallStarted'
UNION ALL
SELECT a.call_id, 'agent', a.body->>'agent_id', 'out',
       coalesce((SELECT max(o.at) FROM cti.facts o WHERE o.call_id = a.call_id AND o.kind = 'OfferMade'
                  AND o.body->>'agent_id' = a.body->>'agent_id' AND o.at <= a.at), a.at),
       a.at,
       (SELECT min(e.at) FROM cti.facts e WHERE e.call_id = a.call_id AND e.kind = 'TalkEnded'
         AND e.body->>'agent_id' = a.body->>'agent_id' AND e.at >= a.at),
       ''
  FROM cti.facts a WHERE a.kind = 'CallAnswered'
UNION ALL
SELECT o.call_id, 'agent', o.body->>'agent_id', 'out', r.at, NULL, o.at, o.body->>'end'
  FROM cti.facts o JOIN LATERAL (SELECT min(m.at) AS at FROM cti.facts m WHERE m.call_id = o.call_id
       AND m.kind = 'OfferMade' AND m.body->>'offer_id' = o.body->>'offer_id') r ON true
 WHERE o.kind = 'OfferEnded' AND o.body->>'end' <> 'answered'
UNION ALL
SELECT c.call_id, 'party', c.body->>'party', 'out', c.at,
       (SELECT min(a.at) FROM cti.facts a WHERE a.call_id = c.call_id AND a.kind = 'ConsultAnswered'
         AND a.body->>'party' = c.body->>'party' AND a.at >= c.at),
       (SELECT min(e.at) FROM cti.facts e WHERE e.call_id = c.call_id AND e.body->>'party' = c.body->>'party' AND e.at >= c.at
         AND (e.kind = 'PartyLeft' OR (e.kind = 'ConsultEnded' AND e.body->>'end' NOT IN ('completed', 'joined')))),
       'consult'
  FROM cti.facts c WHERE c.kind = 'ConsultStarted'
UNION ALL
SELECT w.call_id, 'supervisor', w.body->>'by', 'out', w.at,
       (SELECT min(a.at) FROM cti.facts a WHERE a.call_id = w.call_id AND a.kind = 'WatchAnswered'
         AND a.body->>'leg_id' = w.body->>'leg_id'),
       (SELECT min(e.at) FROM cti.facts e WHERE e.call_id = w.call_id AND e.kind = 'WatchEnded'
         AND e.body->>'leg_id' = w.body->>'leg_id'),
       w.body->>'mode'
  FROM cti.facts w WHERE w.kind = 'WatchBegan';

COMMENT ON VIEW report.legs IS 'One row a leg of a call: the caller''s, each agent''s (answered or not), third parties'', supervisors''.';
COMMENT ON COLUMN report.legs.call_id IS 'The call.';
COMMENT ON COLUMN report.legs.leg IS 'Whose: caller, agent, party or supervisor.';
COMMENT ON COLUMN report.legs.who IS 'The caller''s number, the agent''s id, the party''s number or id, the supervisor''s user name.';
COMMENT ON COLUMN report.legs.direction IS 'Of the caller''s leg the call''s direction; out for legs that the centre called.';
COMMENT ON COLUMN report.legs.began_at IS 'When the leg was called, or came in.';
COMMENT ON COLUMN report.legs.answered_at IS 'When somebody was on it; null: never.';
COMMENT ON COLUMN report.legs.ended_at IS 'When it ended; null: not yet, or not known.';
COMMENT ON COLUMN report.legs.mode IS 'Of a supervisor''s leg how it began, of an unanswered agent''s how the offer ended, of a consultation "consult".';
