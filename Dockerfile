# ionatlas without a database: docker-compose.yml brings that.
FROM python:3.11.14-slim-bookworm

RUN useradd --create-home --uid 10001 ionatlas
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ionatlas.py ./
COPY store store
COPY builders builders
COPY indexes indexes
COPY api api
RUN pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[amcsd,materials-project,optimade-client]'

COPY --chmod=755 docker/entry.sh /usr/local/bin/ionatlas-entry
RUN mkdir -p /home/ionatlas/data && chown ionatlas:ionatlas /home/ionatlas/data

USER ionatlas
ENV IONATLAS_HOME=/home/ionatlas/data PYTHONDONTWRITEBYTECODE=1
VOLUME /home/ionatlas/data
EXPOSE 8000
ENTRYPOINT ["ionatlas-entry"]
CMD ["--help"]
