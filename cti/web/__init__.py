"""What people and programs reach over HTTP: the API by feature, the live feed, the pages."""
