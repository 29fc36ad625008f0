"""The web pages: server-rendered, usable without JavaScript, under a strict Content-Security-Policy."""
