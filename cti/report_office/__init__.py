"""What is made of reports: files, mails, plans and the audit. Joins the figures, the tables, the centre and the mail server."""
