-- The first schema. `cti` is the product's own, `crm` the customer file, `report` what others may build on.

CREATE SCHEMA crm;
CREATE SCHEMA report;

COMMENT ON SCHEMA cti IS 'Facts and what is derived from them. Internal: may change with any version.';
COMMENT ON SCHEMA crm IS 'The customer file.';
COMMENT ON SCHEMA report IS 'Public, stable views: columns are only ever added at the end.';

CREATE TABLE cti.facts (
    journal_id  text        NOT NULL,
    position    bigint      NOT NULL,
    kind        text        NOT NULL,
    call_id     text,
    at          timestamptz,
    body        jsonb       NOT NULL,
    PRIMARY KEY (journal_id, position)
);
CREATE INDEX facts_call ON cti.facts (call_id) WHERE call_id IS NOT NULL;
CREATE INDEX facts_ended ON cti.facts (call_id) WHERE kind = 'CallEnded';
CREATE INDEX facts_at ON cti.facts (at);

COMMENT ON TABLE cti.facts IS 'Everything that happened, as the journal recorded it. Rows are never changed.';
COMMENT ON COLUMN cti.facts.journal_id IS 'Which journal recorded it (one per data folder).';
COMMENT ON COLUMN cti.facts.position IS 'Place in that journal. Gaps appear only where a torn tail was cut off.';
COMMENT ON COLUMN cti.facts.kind IS 'Name of the fact; empty for a record nobody can read.';
COMMENT ON COLUMN cti.facts.call_id IS 'The call it is about, if it is about one.';
COMMENT ON COLUMN cti.facts.at IS 'When it happened.';
COMMENT ON COLUMN cti.facts.body IS 'The whole fact, as the journal encodes it.';

CREATE TABLE cti.cursors (
    journal_id  text        PRIMARY KEY,
    next        bigint      NOT NULL,
    moved_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE cti.cursors IS 'How far each journal is drained; written in the same transaction as the facts.';
COMMENT ON COLUMN cti.cursors.journal_id IS 'The journal.';
COMMENT ON COLUMN cti.cursors.next IS 'First position that is not yet here.';
COMMENT ON COLUMN cti.cursors.moved_at IS 'When it last moved.';

CREATE TABLE cti.calls (
    call_id        text PRIMARY KEY,
    node           text NOT NULL,
    direction      text NOT NULL,
    started_at     timestamptz NOT NULL,
    queued_at      timestamptz,
    offered_at     timestamptz,
    answered_at    timestamptz,
    ended_at       timestamptz NOT NULL,
    caller_number  text,
    did            text NOT NULL,
    language       text,
    customer_id    bigint,
    tier           text,
    queue          text,
    agent          text,
    outcome        text NOT NULL,
    wait_seconds   double precision,
    ring_seconds   double precision,
    talk_seconds   double precision,
    hold_seconds   double precision,
    wrap_seconds   double precision,
    hangup_by      text NOT NULL,
    recording      text,
    disposition    text,
    note           text
);
CREATE INDEX calls_started ON cti.calls (started_at DESC, call_id DESC);
CREATE INDEX calls_customer ON cti.calls (customer_id, started_at DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX calls_queue ON cti.calls (queue, started_at DESC);
COMMENT ON TABLE cti.calls IS 'One row a call that has ended: the fold over its facts. Can be rebuilt from cti.facts at any time.';
COMMENT ON COLUMN cti.calls.disposition IS 'What the agent chose in the wrap-up.';
COMMENT ON COLUMN cti.calls.note IS 'What the agent wrote in the wrap-up.';

CREATE VIEW report.calls AS
SELECT call_id, node, direction, started_at, queued_at, offered_at, answered_at, ended_at, caller_number, did, language,
       customer_id, tier, queue, agent, outcome, wait_seconds, ring_seconds, talk_seconds, hold_seconds, wrap_seconds,
       hangup_by, recording
  FROM cti.calls;

COMMENT ON VIEW report.calls IS 'One row a call. The row appears when the call ends and is updated when its wrap-up ends (wrap_seconds), or when facts about it are found later (after an outage). Open calls have no row. NULL seconds: does not apply to this call. Stable: columns are only ever added at the end.';
COMMENT ON COLUMN report.calls.call_id IS 'Identity of the call: the unique id of the caller''s channel, prefixed with its node.';
COMMENT ON COLUMN report.calls.node IS 'The Asterisk node that carried the call.';
COMMENT ON COLUMN report.calls.direction IS 'inbound, outbound or internal.';
COMMENT ON COLUMN report.calls.started_at IS 'When the call arrived.';
COMMENT ON COLUMN report.calls.queued_at IS 'When it first got a place in a queue (the native queue of survival included). NULL: never queued.';
COMMENT ON COLUMN report.calls.offered_at IS 'When the offer that was answered was made; when none was answered, the last offer. NULL: never offered, or answered without an offer (survival).';
COMMENT ON COLUMN report.calls.answered_at IS 'First proof of talk: caller and agent in one bridge. NULL: nobody talked to the caller.';
COMMENT ON COLUMN report.calls.ended_at IS 'When the caller''s leg was gone.';
COMMENT ON COLUMN report.calls.caller_number IS 'The caller''s number, E.164 where it could be normalised. NULL: withheld.';
COMMENT ON COLUMN report.calls.did IS 'The number that was dialled.';
COMMENT ON COLUMN report.calls.language IS 'The caller''s language (en, zh). NULL: never chosen.';
COMMENT ON COLUMN report.calls.customer_id IS 'The customer in crm.customers. NULL: unknown, several, or not looked up.';
COMMENT ON COLUMN report.calls.tier IS 'The customer''s tier at the time of the call.';
COMMENT ON COLUMN report.calls.queue IS 'The queue of the offer that was answered, else the last queue the call waited in. NULL: never queued.';
COMMENT ON COLUMN report.calls.agent IS 'The first agent who talked to the caller. NULL: nobody.';
COMMENT ON COLUMN report.calls.outcome IS 'answered, abandoned, short_abandon, callback, voicemail, overflow, rejected, failed or self_served; exactly one.';
COMMENT ON COLUMN report.calls.wait_seconds IS 'From queued_at to answered_at; when never answered, to leaving the queue by another way (voicemail, callback, overflow) or to the end.';
COMMENT ON COLUMN report.calls.ring_seconds IS 'From the first ring of the offer''s device to the answer, or to the end of the offer.';
COMMENT ON COLUMN report.calls.talk_seconds IS 'Time in talk with at least one agent, hold excluded.';
COMMENT ON COLUMN report.calls.hold_seconds IS 'Time the caller was held by an agent.';
COMMENT ON COLUMN report.calls.wrap_seconds IS 'From the end of talk to the end of the wrap-up, summed over agents. NULL until a wrap-up has ended.';
COMMENT ON COLUMN report.calls.hangup_by IS 'caller, agent or system.';
COMMENT ON COLUMN report.calls.recording IS 'Path of the recording, relative to the recordings folder.';

CREATE TABLE crm.tiers (
    tier  text PRIMARY KEY,
    rank  integer NOT NULL
);
COMMENT ON TABLE crm.tiers IS 'Customer tiers; what a tier is worth in waiting is configured in centre.yaml.';
COMMENT ON COLUMN crm.tiers.tier IS 'Name of the tier.';
COMMENT ON COLUMN crm.tiers.rank IS 'Order, 1 is the highest.';
INSERT INTO crm.tiers (tier, rank) VALUES ('vip', 1), ('gold', 2), ('silver', 3), ('regular', 4);

CREATE TABLE crm.customers (
    customer_id  bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    reference    text UNIQUE,
    name         text NOT NULL,
    tier         text NOT NULL DEFAULT 'regular',
    language     text NOT NULL DEFAULT '',
    company      text NOT NULL DEFAULT '',
    notes        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE crm.customers IS 'One row a customer.';
COMMENT ON COLUMN crm.customers.customer_id IS 'Our number of the customer.';
COMMENT ON COLUMN crm.customers.reference IS 'The customer''s key in the system they were imported from.';
COMMENT ON COLUMN crm.customers.name IS 'Name for people.';
COMMENT ON COLUMN crm.customers.tier IS 'Name of the tier. A tier of centre.yaml need not be in crm.tiers.';
COMMENT ON COLUMN crm.customers.language IS 'Preferred language (en, zh); empty: not known.';
COMMENT ON COLUMN crm.customers.company IS 'Company, or empty.';
COMMENT ON COLUMN crm.customers.notes IS 'What an agent should know before answering.';
COMMENT ON COLUMN crm.customers.created_at IS 'When the customer was added.';
COMMENT ON COLUMN crm.customers.changed_at IS 'When the row last changed.';

CREATE TABLE crm.phones (
    customer_id  bigint NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    number       text   NOT NULL,
    raw          text   NOT NULL,
    label        text   NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, number)
);
CREATE INDEX phones_number ON crm.phones (number);
COMMENT ON TABLE crm.phones IS 'Telephone numbers of customers; one number may belong to several.';
COMMENT ON COLUMN crm.phones.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.phones.number IS 'E.164 (+ and digits); short internal numbers as they are. What look-ups compare.';
COMMENT ON COLUMN crm.phones.raw IS 'As it was entered.';
COMMENT ON COLUMN crm.phones.label IS 'mobile, office, ... or empty.';

CREATE VIEW crm.contacts AS
SELECT customer_id, call_id, started_at AS at, queue, outcome, agent, disposition, note, talk_seconds, recording
  FROM cti.calls
 WHERE customer_id IS NOT NULL;
COMMENT ON VIEW crm.contacts IS 'Every contact with a known customer, derived from calls.';
