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

USER ionatlas
ENV IONATLAS_HOME=/home/ionatlas/data
VOLUME /home/ionatlas/data
ENTRYPOINT ["ionatlas"]
CMD ["--help"]
