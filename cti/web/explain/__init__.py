"""Why calls went where they went, and how right the expected waits were."""
