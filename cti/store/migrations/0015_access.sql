-- Second factors, tokens and log-ins of others: what a log-in may do.
SELECT 1;
