"""For gunicorn: gunicorn -b 127.0.0.1:$PORT app:app"""


def app(environ, start_response):
    if environ["PATH_INFO"] not in ("/", "/healthz"):
        start_response("404 Not Found", [("Content-Length", "0")])
        return [b""]
    body = environ["wsgi.input"].read() or b"ok"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
