"""What gunicorn reads by itself where it is started beside this file; its command line says the rest."""

# No client moves the paths of the site by a header. gunicorn would take SCRIPT_NAME from whoever connects from here.
forwarder_headers = ""
