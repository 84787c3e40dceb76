"""Quality over HTTP: forms, samples, scores, calibration, feedback, figures, surveys."""
