-- Which bridge owns the floor of a node: a lease with a rising number.

CREATE TABLE cti.bridge_lease (
    node        text        PRIMARY KEY,
    token       bigint      NOT NULL,
    holder      text        NOT NULL,
    host        text        NOT NULL,
    pid         integer     NOT NULL,
    taken_at    timestamptz NOT NULL,
    held_until  timestamptz NOT NULL
);
COMMENT ON TABLE cti.bridge_lease IS 'Which bridge decides for a node, where two stand by for it. Times are of this database''s clock.';
COMMENT ON COLUMN cti.bridge_lease.node IS 'Name of the Asterisk node (setting node).';
COMMENT ON COLUMN cti.bridge_lease.token IS 'Rises with every holder; the higher one is right.';
COMMENT ON COLUMN cti.bridge_lease.holder IS 'Which process holds it: a random name, made at its start.';
COMMENT ON COLUMN cti.bridge_lease.host IS 'The machine it runs on.';
COMMENT ON COLUMN cti.bridge_lease.pid IS 'Its process id there.';
COMMENT ON COLUMN cti.bridge_lease.taken_at IS 'Since when it holds it.';
COMMENT ON COLUMN cti.bridge_lease.held_until IS 'Until when, unless it is renewed; in the past: free.';
