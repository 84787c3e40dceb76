-- Customers: an addition that is sent twice is one.

ALTER TABLE crm.changes ADD COLUMN request text;
CREATE UNIQUE INDEX changes_request ON crm.changes (by, request) WHERE request IS NOT NULL;
COMMENT ON COLUMN crm.changes.request IS 'Of what = created: the key the request was named with, so that it can be sent again. NULL: none.';
