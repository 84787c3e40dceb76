"""Quality in Postgres: forms, samples, scores, calibration, coaching, and figures of them and of surveys."""
