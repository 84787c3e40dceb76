-- The customer file grows: addresses, consent, tags, merges, imports, search.

-- Customers -----------------------------------------------------------------------------------------------------------

ALTER TABLE crm.customers
    ADD COLUMN kind         text        NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'company')),
    ADD COLUMN company_id   bigint      REFERENCES crm.customers ON DELETE SET NULL,
    ADD COLUMN email        text        NOT NULL DEFAULT '',
    ADD COLUMN addresses    jsonb       NOT NULL DEFAULT '[]',
    ADD COLUMN time_zone    text        NOT NULL DEFAULT '',
    ADD COLUMN tier_source  text        NOT NULL DEFAULT 'import' CHECK (tier_source IN ('rule', 'override', 'import')),
    ADD COLUMN tier_reason  text        NOT NULL DEFAULT '',
    ADD COLUMN tags         text[]      NOT NULL DEFAULT '{}',
    ADD COLUMN fields       jsonb       NOT NULL DEFAULT '{}',
    ADD COLUMN version      integer     NOT NULL DEFAULT 1,
    ADD COLUMN merged_into  bigint      REFERENCES crm.customers ON DELETE CASCADE,
    ADD COLUMN words        tsvector    NOT NULL DEFAULT '';
CREATE INDEX customers_company ON crm.customers (company_id) WHERE company_id IS NOT NULL;
CREATE INDEX customers_merged ON crm.customers (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX customers_tags ON crm.customers USING gin (tags) WITH (fastupdate = off);
CREATE INDEX customers_words ON crm.customers USING gin (words) WITH (fastupdate = off);
CREATE INDEX customers_changed ON crm.customers (changed_at DESC);
COMMENT ON COLUMN crm.customers.kind IS 'person or company.';
COMMENT ON COLUMN crm.customers.company_id IS 'The company (a customer, too) this person belongs to; NULL: none that is a customer.';
COMMENT ON COLUMN crm.customers.email IS 'E-mail address, or empty.';
COMMENT ON COLUMN crm.customers.addresses IS 'List of objects with label, street, city, region, postal_code, country (each text).';
COMMENT ON COLUMN crm.customers.time_zone IS 'IANA name of the customer''s time zone; empty: the centre''s.';
COMMENT ON COLUMN crm.customers.tier_source IS 'How the tier came about: rule (computed), override (a person chose it), import (came with the customer).';
COMMENT ON COLUMN crm.customers.tier_reason IS 'Why, in words: the rule''s explanation, or what the person wrote who chose it.';
COMMENT ON COLUMN crm.customers.tags IS 'Words people put on customers, sorted.';
COMMENT ON COLUMN crm.customers.fields IS 'Values of the centre''s own fields (crm.custom_fields) by name: text, number, date as YYYY-MM-DD, or a choice.';
COMMENT ON COLUMN crm.customers.version IS 'Rises by one with every change of the customer (row, phones, consents); an edit names the version it was made from.';
COMMENT ON COLUMN crm.customers.merged_into IS 'The customer this one turned out to be; NULL: a customer of its own. A merged row keeps nothing but what an undo needs.';
COMMENT ON COLUMN crm.customers.words IS 'Words of name, company, reference and e-mail for searches of several words; kept by a trigger.';

ALTER TABLE crm.phones
    ADD COLUMN place integer NOT NULL DEFAULT 0;
CREATE INDEX phones_from_start ON crm.phones (number COLLATE "C");
CREATE INDEX phones_from_end ON crm.phones (reverse(number) COLLATE "C");
COMMENT ON COLUMN crm.phones.place IS 'Order of a customer''s numbers; the first is the one to call.';

CREATE TABLE crm.consents (
    customer_id  bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    channel      text        NOT NULL CHECK (channel IN ('call', 'sms', 'email', 'post', 'recording')),
    status       text        NOT NULL CHECK (status IN ('granted', 'refused')),
    at           timestamptz NOT NULL,
    how          text        NOT NULL DEFAULT '',
    by           text        NOT NULL DEFAULT '',
    PRIMARY KEY (customer_id, channel)
);
COMMENT ON TABLE crm.consents IS 'What a customer allows, by channel. No row: never asked. call refused means: do not call.';
COMMENT ON COLUMN crm.consents.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.consents.channel IS 'call, sms, email, post, or recording (of calls).';
COMMENT ON COLUMN crm.consents.status IS 'granted or refused.';
COMMENT ON COLUMN crm.consents.at IS 'When the customer said so.';
COMMENT ON COLUMN crm.consents.how IS 'How: by phone, by letter, on the web, ...';
COMMENT ON COLUMN crm.consents.by IS 'Who wrote it down.';

CREATE VIEW crm.do_not_call AS
SELECT customer_id, at, how, by FROM crm.consents WHERE channel = 'call' AND status = 'refused';
COMMENT ON VIEW crm.do_not_call IS 'Customers who do not want to be called by us.';

CREATE TABLE crm.notes (
    note_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id  bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    text         text        NOT NULL,
    author       text        NOT NULL,
    written_at   timestamptz NOT NULL DEFAULT now(),
    edited_at    timestamptz,
    version      integer     NOT NULL DEFAULT 1,
    call_id      text
);
CREATE INDEX notes_customer ON crm.notes (customer_id, written_at DESC);
COMMENT ON TABLE crm.notes IS 'What people wrote about customers. Only added to; the author may correct a note (the text before is in crm.changes).';
COMMENT ON COLUMN crm.notes.note_id IS 'Number of the note.';
COMMENT ON COLUMN crm.notes.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.notes.text IS 'What was written.';
COMMENT ON COLUMN crm.notes.author IS 'User name of the author.';
COMMENT ON COLUMN crm.notes.written_at IS 'When it was written.';
COMMENT ON COLUMN crm.notes.edited_at IS 'When the author last corrected it. NULL: never.';
COMMENT ON COLUMN crm.notes.version IS 'Rises with every correction.';
COMMENT ON COLUMN crm.notes.call_id IS 'The call it was written in. NULL: none.';

CREATE TABLE crm.custom_fields (
    name      text    PRIMARY KEY CHECK (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    title     text    NOT NULL,
    kind      text    NOT NULL CHECK (kind IN ('text', 'number', 'date', 'choice')),
    choices   text[]  NOT NULL DEFAULT '{}',
    place     integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE crm.custom_fields IS 'The centre''s own fields of a customer.';
COMMENT ON COLUMN crm.custom_fields.name IS 'Name in crm.customers.fields and in files.';
COMMENT ON COLUMN crm.custom_fields.title IS 'Name for people.';
COMMENT ON COLUMN crm.custom_fields.kind IS 'text, number, date or choice.';
COMMENT ON COLUMN crm.custom_fields.choices IS 'What a choice chooses from.';
COMMENT ON COLUMN crm.custom_fields.place IS 'Order on the page.';

CREATE TABLE crm.changes (
    change_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id  bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    version      integer     NOT NULL,
    at           timestamptz NOT NULL DEFAULT now(),
    by           text        NOT NULL,
    what         text        NOT NULL,
    before       jsonb       NOT NULL DEFAULT '{}',
    after        jsonb       NOT NULL DEFAULT '{}'
);
CREATE INDEX changes_customer ON crm.changes (customer_id, change_id DESC);
CREATE INDEX changes_at ON crm.changes USING brin (at);
COMMENT ON TABLE crm.changes IS 'Every change of a customer: who, when, what it was before and after. Goes with the customer.';
COMMENT ON COLUMN crm.changes.change_id IS 'Number of the change, in the order of time.';
COMMENT ON COLUMN crm.changes.customer_id IS 'The customer.';
COMMENT ON COLUMN crm.changes.version IS 'The customer''s version after it.';
COMMENT ON COLUMN crm.changes.at IS 'When.';
COMMENT ON COLUMN crm.changes.by IS 'User name, "import" with its number, or the rule that did it.';
COMMENT ON COLUMN crm.changes.what IS 'created, changed, imported, tier, note, merged or unmerged.';
COMMENT ON COLUMN crm.changes.before IS 'The changed fields as they were.';
COMMENT ON COLUMN crm.changes.after IS 'The changed fields as they became.';

-- Merges --------------------------------------------------------------------------------------------------------------

CREATE TABLE crm.merges (
    merge_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kept_id       bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    gone_id       bigint      NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    at            timestamptz NOT NULL DEFAULT now(),
    by            text        NOT NULL,
    kept_before   jsonb       NOT NULL,
    gone_before   jsonb       NOT NULL,
    notes         bigint[]    NOT NULL DEFAULT '{}',
    followers     bigint[]    NOT NULL DEFAULT '{}',
    members       bigint[]    NOT NULL DEFAULT '{}',
    kept_version  integer     NOT NULL,
    undone_at     timestamptz,
    undone_by     text
);
CREATE INDEX merges_kept ON crm.merges (kept_id);
CREATE INDEX merges_gone ON crm.merges (gone_id);
COMMENT ON TABLE crm.merges IS 'Two customers who turned out to be one, and what an undo needs.';
COMMENT ON COLUMN crm.merges.merge_id IS 'Number of the merge.';
COMMENT ON COLUMN crm.merges.kept_id IS 'The customer who stays.';
COMMENT ON COLUMN crm.merges.gone_id IS 'The customer who is now part of the other.';
COMMENT ON COLUMN crm.merges.at IS 'When.';
COMMENT ON COLUMN crm.merges.by IS 'Who.';
COMMENT ON COLUMN crm.merges.kept_before IS 'The one who stays, as it was: row, phones, consents.';
COMMENT ON COLUMN crm.merges.gone_before IS 'The other, as it was: row, phones, consents.';
COMMENT ON COLUMN crm.merges.notes IS 'Notes that moved.';
COMMENT ON COLUMN crm.merges.followers IS 'Customers merged earlier into the one who is gone; they follow.';
COMMENT ON COLUMN crm.merges.members IS 'Customers whose company was the one who is gone.';
COMMENT ON COLUMN crm.merges.kept_version IS 'Version of the one who stays, right after the merge.';
COMMENT ON COLUMN crm.merges.undone_at IS 'When it was undone. NULL: it stands.';
COMMENT ON COLUMN crm.merges.undone_by IS 'Who undid it.';

CREATE VIEW crm.identities AS
SELECT customer_id, coalesce(merged_into, customer_id) AS current_id FROM crm.customers;
COMMENT ON VIEW crm.identities IS 'Every customer number there is or was, and the customer it stands for now: rows that carry a customer''s number (calls, facts, anything else) need not change when customers are merged.';
COMMENT ON COLUMN crm.identities.customer_id IS 'A number in a row.';
COMMENT ON COLUMN crm.identities.current_id IS 'The customer it is now.';

CREATE OR REPLACE VIEW crm.contacts AS
SELECT customer_id, call_id, started_at AS at, queue, outcome, agent, disposition, note, talk_seconds, recording,
       direction, caller_number, did, wait_seconds, ended_at, language
  FROM cti.calls c
 WHERE customer_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM crm.customers m WHERE m.customer_id = c.customer_id AND m.merged_into IS NOT NULL)
UNION ALL
SELECT m.merged_into, call_id, started_at, queue, outcome, agent, disposition, note, talk_seconds, recording,
       direction, caller_number, did, wait_seconds, ended_at, c.language
  FROM crm.customers m JOIN cti.calls c ON c.customer_id = m.customer_id
 WHERE m.merged_into IS NOT NULL;
COMMENT ON VIEW crm.contacts IS 'Every contact with a known customer, derived from calls. A call of a customer who was merged counts for the one who stayed. Stable: columns are only ever added at the end.';

-- Imports -------------------------------------------------------------------------------------------------------------

CREATE TABLE crm.imports (
    import_id    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file_name    text        NOT NULL,
    format       text        NOT NULL,
    fingerprint  text        NOT NULL,
    columns      text[]      NOT NULL,
    mapping      jsonb       NOT NULL DEFAULT '{}',
    options      jsonb       NOT NULL DEFAULT '{}',
    state        text        NOT NULL CHECK (state IN ('reading', 'uploaded', 'running', 'done', 'stopped')),
    rows         integer     NOT NULL DEFAULT 0,
    added        integer     NOT NULL DEFAULT 0,
    changed      integer     NOT NULL DEFAULT 0,
    unchanged    integer     NOT NULL DEFAULT 0,
    failed       integer     NOT NULL DEFAULT 0,
    by           text        NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
COMMENT ON TABLE crm.imports IS 'Files of customers that were handed in, and how far each is.';
COMMENT ON COLUMN crm.imports.import_id IS 'Number of the import.';
COMMENT ON COLUMN crm.imports.file_name IS 'Name of the file.';
COMMENT ON COLUMN crm.imports.format IS 'csv or xlsx, with encoding and delimiter.';
COMMENT ON COLUMN crm.imports.fingerprint IS 'SHA-256 of the file.';
COMMENT ON COLUMN crm.imports.columns IS 'The columns'' headings.';
COMMENT ON COLUMN crm.imports.mapping IS 'Field of the customer by number of the column (0 is the first); columns that are not in it are left out.';
COMMENT ON COLUMN crm.imports.options IS 'How it is read: date order, what to do with empty cells.';
COMMENT ON COLUMN crm.imports.state IS 'reading (the file is coming in), uploaded (waits for the mapping), running, done or stopped.';
COMMENT ON COLUMN crm.imports.rows IS 'Rows of the file, without the heading.';
COMMENT ON COLUMN crm.imports.added IS 'Customers that were added.';
COMMENT ON COLUMN crm.imports.changed IS 'Customers that were changed.';
COMMENT ON COLUMN crm.imports.unchanged IS 'Rows that told nothing new.';
COMMENT ON COLUMN crm.imports.failed IS 'Rows that were not taken.';
COMMENT ON COLUMN crm.imports.by IS 'Who.';
COMMENT ON COLUMN crm.imports.made_at IS 'When the file was handed in.';
COMMENT ON COLUMN crm.imports.finished_at IS 'When the last row was done. NULL: not yet.';

CREATE TABLE crm.import_rows (
    import_id  bigint  NOT NULL REFERENCES crm.imports ON DELETE CASCADE,
    line       integer NOT NULL,
    cells      text[]  NOT NULL,
    state      text    NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'failed')),
    problems   jsonb   NOT NULL DEFAULT '[]',
    PRIMARY KEY (import_id, line)
);
CREATE INDEX import_rows_new ON crm.import_rows (import_id, line) WHERE state = 'new';
COMMENT ON TABLE crm.import_rows IS 'Rows of handed-in files that are not done yet, and those that failed. A row that is done is deleted in the transaction that took it, so that an import goes on where it was.';
COMMENT ON COLUMN crm.import_rows.import_id IS 'The import.';
COMMENT ON COLUMN crm.import_rows.line IS 'Line of the file (the heading is 1).';
COMMENT ON COLUMN crm.import_rows.cells IS 'The cells as text.';
COMMENT ON COLUMN crm.import_rows.state IS 'new or failed.';
COMMENT ON COLUMN crm.import_rows.problems IS 'Why it failed: objects with column, message, remedy.';

-- Search --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION crm.fold(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN btrim(regexp_replace(
    regexp_replace(lower(normalize(written, NFKD)), E'[\u0300-\u036f''`\u2018\u2019]', '', 'g'),
    E'[\\s!-\\-/:-?\\[-\\^{-\u00bf\u2010-\u206f\u3000-\u303f\ufeff\u2000-\u200f]+', ' ', 'g'));
COMMENT ON FUNCTION crm.fold(text) IS 'Text as searches compare it: small letters without accents; punctuation is a space.';

CREATE FUNCTION crm.words_of(folded text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT coalesce(array_agg(left(word, 60) ORDER BY place), '{}')
          FROM string_to_table(folded, ' ') WITH ORDINALITY AS w (word, place) WHERE word <> '' AND place <= 16);
COMMENT ON FUNCTION crm.words_of(text) IS 'The first sixteen words of folded text.';

CREATE FUNCTION crm.tails_of(words text[]) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
SELECT substr(word, place, 24)
  FROM unnest(words) AS w (word), generate_series(1, least(length(word), 24)) AS s (place)
 WHERE word ~ E'[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]';
END;
COMMENT ON FUNCTION crm.tails_of(text[]) IS 'Words of scripts without spaces, from each of their signs on: so a search finds what stands in the middle of a name.';

CREATE TABLE crm.search_terms (
    term         text   COLLATE "C" NOT NULL,
    customer_id  bigint NOT NULL REFERENCES crm.customers ON DELETE CASCADE,
    PRIMARY KEY (term, customer_id)
);
CREATE INDEX search_terms_customer ON crm.search_terms (customer_id);
COMMENT ON TABLE crm.search_terms IS 'What a search for the beginning of something finds; kept by a trigger on crm.customers.';
COMMENT ON COLUMN crm.search_terms.term IS 'Folded: name and company beginning with each of their words in turn, tails of Chinese words, reference, e-mail and its domain.';
COMMENT ON COLUMN crm.search_terms.customer_id IS 'The customer.';

CREATE FUNCTION crm.terms_of(name text, company text, reference text, email text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
WITH w AS (SELECT crm.words_of(crm.fold(name || ' ' || company)) AS words)
SELECT DISTINCT t FROM (
    SELECT left(array_to_string(words[place:] || words[:place - 1], ' '), 60)
      FROM w, generate_subscripts(words, 1) AS s (place)
    UNION ALL SELECT crm.tails_of(words) FROM w
    UNION ALL SELECT left(crm.fold(reference), 60)
    UNION ALL SELECT left(crm.fold(email), 60)
    UNION ALL SELECT left(crm.fold(split_part(email, '@', 2)), 60)
) AS found (t) WHERE t <> '';
END;
COMMENT ON FUNCTION crm.terms_of(text, text, text, text) IS 'The terms of one customer, see crm.search_terms.';

CREATE FUNCTION crm.keep_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    named text[] := crm.words_of(crm.fold(NEW.name || ' ' || NEW.company));
BEGIN
    NEW.words := CASE WHEN NEW.merged_into IS NOT NULL THEN ''::tsvector ELSE array_to_tsvector(ARRAY(
        SELECT DISTINCT t FROM (
            SELECT unnest(named) UNION ALL SELECT crm.tails_of(named)
            UNION ALL SELECT unnest(crm.words_of(crm.fold(coalesce(NEW.reference, '') || ' ' || NEW.email)))
        ) AS found (t) WHERE t <> '')) END;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION crm.keep_words() IS 'Keeps crm.customers.words.';

CREATE FUNCTION crm.keep_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM crm.search_terms WHERE customer_id = NEW.customer_id;
    END IF;
    IF NEW.merged_into IS NULL THEN
        INSERT INTO crm.search_terms (term, customer_id)
        SELECT t, NEW.customer_id FROM crm.terms_of(NEW.name, NEW.company, coalesce(NEW.reference, ''), NEW.email) AS t;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION crm.keep_terms() IS 'Keeps crm.search_terms.';

CREATE TRIGGER customers_words BEFORE INSERT OR UPDATE OF name, company, reference, email, merged_into ON crm.customers
    FOR EACH ROW EXECUTE FUNCTION crm.keep_words();
CREATE TRIGGER customers_terms_added AFTER INSERT ON crm.customers
    FOR EACH ROW EXECUTE FUNCTION crm.keep_terms();
CREATE TRIGGER customers_terms AFTER UPDATE OF name, company, reference, email, merged_into ON crm.customers
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name OR OLD.company IS DISTINCT FROM NEW.company
                       OR OLD.reference IS DISTINCT FROM NEW.reference OR OLD.email IS DISTINCT FROM NEW.email
                       OR OLD.merged_into IS DISTINCT FROM NEW.merged_into)
    EXECUTE FUNCTION crm.keep_terms();

UPDATE crm.customers SET name = name;
INSERT INTO crm.search_terms (term, customer_id)
SELECT t, customer_id FROM crm.customers, crm.terms_of(name, company, coalesce(reference, ''), email) AS t
ON CONFLICT DO NOTHING;
