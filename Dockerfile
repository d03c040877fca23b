# auralflow on the CPU: docker build -t auralflow . && docker run --rm -v "$PWD:/work" auralflow --help
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
# PyTorch's CPU build is much smaller than the default one.
RUN python -m venv /opt/auralflow \
 && /opt/auralflow/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu .

FROM python:3.13-slim
# Root is not needed: to own the output files, use --user "$(id -u):$(id -g)".
RUN useradd --create-home --uid 1000 auralflow
COPY --from=build /opt/auralflow /opt/auralflow
ENV PATH=/opt/auralflow/bin:$PATH AURALFLOW_HOME=/tmp/auralflow MPLCONFIGDIR=/tmp/matplotlib
USER 1000
WORKDIR /work
ENTRYPOINT ["auralflow"]
CMD ["--help"]
