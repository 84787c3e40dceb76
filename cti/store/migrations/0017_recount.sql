-- Further columns of the figures.
SELECT 1;
