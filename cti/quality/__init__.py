"""Quality of talks: inspection forms and their arithmetic, which calls are looked at, how far scorers agree, surveys. Pure."""
