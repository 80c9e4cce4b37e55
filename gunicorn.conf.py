"""Settings that gunicorn reads if it starts in this directory. The command line sets the rest."""

# By default gunicorn takes SCRIPT_NAME from a header of local connections, which would let clients
# change the site's URLs.
forwarder_headers = ""
