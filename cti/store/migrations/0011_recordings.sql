-- Recordings of calls: where they are, whether they are whole, who listened.
--
-- The row of a recording follows its facts as they are stored, in the same transaction: `cti.told_recording` is the fold, and
-- `cti.rebuild_recordings` folds everything again.

CREATE TABLE cti.recordings (
    recording_id  text PRIMARY KEY,
    call_id       text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('talk', 'message', 'voicemail')),
    path          text NOT NULL,
    begun_at      timestamptz NOT NULL,
    state         text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'kept', 'flagged', 'deleted')),
    trouble       text NOT NULL DEFAULT '',
    seconds       double precision,
    expected      double precision,
    bytes         bigint,
    sha256        text NOT NULL DEFAULT '',
    channels      smallint NOT NULL DEFAULT 1,
    silence       double precision NOT NULL DEFAULT 0,
    place         text NOT NULL DEFAULT 'local',
    key_id        text NOT NULL DEFAULT '',
    changed_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    deleted_why   text NOT NULL DEFAULT ''
);
CREATE INDEX recordings_call ON cti.recordings (call_id);
CREATE INDEX recordings_begun ON cti.recordings (begun_at, recording_id);
CREATE INDEX recordings_flagged ON cti.recordings (changed_at) WHERE state = 'flagged';

COMMENT ON TABLE cti.recordings IS 'One row a recording, as its facts tell it.';
COMMENT ON COLUMN cti.recordings.recording_id IS 'The call''s id for its talk; message- or voicemail- and the file''s name without its ending for the others.';
COMMENT ON COLUMN cti.recordings.call_id IS 'The call.';
COMMENT ON COLUMN cti.recordings.kind IS 'talk, message (a step of a flow, a survey''s comment), voicemail.';
COMMENT ON COLUMN cti.recordings.path IS 'The file''s name, as facts tell it.';
COMMENT ON COLUMN cti.recordings.begun_at IS 'When it began.';
COMMENT ON COLUMN cti.recordings.state IS 'running (or not yet looked at), kept, flagged, deleted.';
COMMENT ON COLUMN cti.recordings.trouble IS 'Of a flagged one: missing, empty, short, unreadable, disk_full, not_growing, not_started, changed.';
COMMENT ON COLUMN cti.recordings.seconds IS 'How long it is.';
COMMENT ON COLUMN cti.recordings.expected IS 'Of a flagged one: how long it should be.';
COMMENT ON COLUMN cti.recordings.bytes IS 'How large it is as it is played.';
COMMENT ON COLUMN cti.recordings.sha256 IS 'Of the sound as it is played.';
COMMENT ON COLUMN cti.recordings.channels IS '2: the caller left, agents right.';
COMMENT ON COLUMN cti.recordings.silence IS 'Seconds that were paused.';
COMMENT ON COLUMN cti.recordings.place IS 'local, s3.';
COMMENT ON COLUMN cti.recordings.key_id IS 'The key it is sealed with; empty: it is not sealed.';
COMMENT ON COLUMN cti.recordings.changed_at IS 'When the last was told of it.';
COMMENT ON COLUMN cti.recordings.deleted_at IS 'When it was deleted.';
COMMENT ON COLUMN cti.recordings.deleted_why IS 'retention, privacy.';

CREATE FUNCTION cti.recording_id(kind text, path text, call_id text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE kind WHEN 'talk' THEN call_id
           ELSE kind || '-' || regexp_replace(path, '\.wav$', '') END
$$;
COMMENT ON FUNCTION cti.recording_id IS 'The id of a recording.';

CREATE FUNCTION cti.told_recording(fact text, moment timestamptz, body jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    of_call text := body ->> 'call_id';
    of_kind text := CASE fact WHEN 'MessageRecorded' THEN 'message' WHEN 'VoicemailLeft' THEN 'voicemail'
                    WHEN 'RecordingStarted' THEN 'talk' ELSE coalesce(body ->> 'kind', 'talk') END;
    file text := coalesce(body ->> 'path', '');
    id text := cti.recording_id(of_kind, file, of_call);
BEGIN
    IF file = '' AND of_kind <> 'talk' THEN
        RETURN;  -- made anonymous: nobody knows which it was
    END IF;
    INSERT INTO cti.recordings (recording_id, call_id, kind, path, begun_at, changed_at, seconds)
    VALUES (id, of_call, of_kind, file, moment, moment,
            CASE WHEN fact IN ('MessageRecorded', 'VoicemailLeft') THEN (body ->> 'seconds')::float8 END)
    ON CONFLICT (recording_id) DO UPDATE SET changed_at = greatest(recordings.changed_at, excluded.changed_at),
            begun_at = least(recordings.begun_at, excluded.begun_at);
    CASE fact
    WHEN 'RecordingKept' THEN
        UPDATE cti.recordings SET state = 'kept', trouble = '', seconds = (body ->> 'seconds')::float8,
               bytes = (body ->> 'bytes')::bigint, sha256 = body ->> 'sha256', channels = (body ->> 'channels')::int,
               silence = (body ->> 'silence')::float8
         WHERE recording_id = id AND state <> 'deleted';
    WHEN 'RecordingFlagged' THEN
        UPDATE cti.recordings SET state = 'flagged', trouble = body ->> 'trouble', expected = (body ->> 'expected')::float8,
               seconds = coalesce((body ->> 'seconds')::float8, seconds)
         WHERE recording_id = id AND state <> 'deleted';
    WHEN 'RecordingMoved' THEN
        UPDATE cti.recordings SET place = body ->> 'place', key_id = body ->> 'key_id' WHERE recording_id = id;
    WHEN 'RecordingDeleted' THEN
        UPDATE cti.recordings SET state = 'deleted', deleted_at = moment, deleted_why = body ->> 'why', place = '', path = ''
         WHERE recording_id = id;
    ELSE NULL;
    END CASE;
END
$$;
COMMENT ON FUNCTION cti.told_recording IS 'Takes one fact into cti.recordings.';

CREATE FUNCTION cti.take_recording_fact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Facts about recordings may come after the call's end and move no call; to look them up they belong to it all the same.
    NEW.call_id := coalesce(NEW.call_id, NEW.body ->> 'call_id');
    IF NEW.kind NOT IN ('RecordingPaused', 'RecordingResumed', 'RecordingHalted') AND NEW.at IS NOT NULL
       AND NEW.call_id IS NOT NULL THEN
        PERFORM cti.told_recording(NEW.kind, NEW.at, NEW.body);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION cti.take_recording_fact IS 'The trigger of cti.facts.';

CREATE TRIGGER recordings BEFORE INSERT ON cti.facts FOR EACH ROW
WHEN (NEW.kind IN ('RecordingStarted', 'RecordingPaused', 'RecordingResumed', 'RecordingHalted', 'RecordingKept',
                   'RecordingFlagged', 'RecordingMoved', 'RecordingDeleted', 'MessageRecorded', 'VoicemailLeft'))
EXECUTE FUNCTION cti.take_recording_fact();

CREATE INDEX facts_recordings ON cti.facts (at) WHERE kind IN ('RecordingStarted', 'RecordingKept', 'RecordingFlagged',
       'RecordingMoved', 'RecordingDeleted', 'MessageRecorded', 'VoicemailLeft');

CREATE FUNCTION cti.rebuild_recordings() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE cti.recordings;
    PERFORM cti.told_recording(f.kind, f.at, f.body) FROM (
        SELECT kind, at, body FROM cti.facts
         WHERE kind IN ('RecordingStarted', 'RecordingKept', 'RecordingFlagged', 'RecordingMoved', 'RecordingDeleted',
                        'MessageRecorded', 'VoicemailLeft')
         ORDER BY at, journal_id, position) f;
END
$$;
COMMENT ON FUNCTION cti.rebuild_recordings IS 'Makes cti.recordings anew from every stored fact.';
SELECT cti.rebuild_recordings();

CREATE VIEW report.recordings AS
SELECT r.recording_id, r.call_id, r.kind, r.begun_at, r.state, r.trouble, r.seconds, r.silence, r.channels, r.bytes, r.sha256,
       r.place, r.key_id <> '' AS sealed, r.deleted_at, r.deleted_why, c.queue, c.agent, c.direction, c.customer_id
  FROM cti.recordings r LEFT JOIN cti.calls c USING (call_id);

COMMENT ON VIEW report.recordings IS 'One row a recording: of a talk, a message, a voicemail. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.recordings.recording_id IS 'Its id in the API.';
COMMENT ON COLUMN report.recordings.call_id IS 'The call.';
COMMENT ON COLUMN report.recordings.kind IS 'talk, message, voicemail.';
COMMENT ON COLUMN report.recordings.begun_at IS 'When it began.';
COMMENT ON COLUMN report.recordings.state IS 'running, kept, flagged, deleted.';
COMMENT ON COLUMN report.recordings.trouble IS 'What is wrong with a flagged one.';
COMMENT ON COLUMN report.recordings.seconds IS 'How long it is.';
COMMENT ON COLUMN report.recordings.silence IS 'Seconds that were paused.';
COMMENT ON COLUMN report.recordings.channels IS '2: the caller left, agents right.';
COMMENT ON COLUMN report.recordings.bytes IS 'How large it is as it is played.';
COMMENT ON COLUMN report.recordings.sha256 IS 'Of the sound as it is played.';
COMMENT ON COLUMN report.recordings.place IS 'local, s3; empty: deleted.';
COMMENT ON COLUMN report.recordings.sealed IS 'Whether it is encrypted where it lies.';
COMMENT ON COLUMN report.recordings.deleted_at IS 'When it was deleted.';
COMMENT ON COLUMN report.recordings.deleted_why IS 'retention, privacy.';
COMMENT ON COLUMN report.recordings.queue IS 'The call''s queue.';
COMMENT ON COLUMN report.recordings.agent IS 'The call''s agent.';
COMMENT ON COLUMN report.recordings.direction IS 'inbound, outbound, internal.';
COMMENT ON COLUMN report.recordings.customer_id IS 'The customer.';
