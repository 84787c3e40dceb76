-- Which bridge owns the floor: a lease with a rising number.
SELECT 1;
