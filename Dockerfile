# Two stages: wheels are built and installed in the first, only the installed environment reaches the second.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
# Such as [cluster]: for the workers of a Dask cluster, and what sends with them
ARG EXTRAS=""
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY async_s3_upload ./async_s3_upload
RUN python -m pip wheel --wheel-dir /wheels ".${EXTRAS}" \
    && python -m venv --without-pip /opt/async-s3-upload \
    && python -m pip --python /opt/async-s3-upload/bin/python install --no-index --find-links /wheels "async-s3-upload${EXTRAS}" \
    && /opt/async-s3-upload/bin/async-s3-upload --version

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="async-s3-upload" \
      org.opencontainers.image.description="Gets sequencing runs into S3" \
      org.opencontainers.image.licenses="MIT"
ENV PATH=/opt/async-s3-upload/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# tini is process 1: it passes signals on, and takes in what would be left over of workers. Debian keeps one version of it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/*
# The uid is fixed: folders that are mounted can be given to it.
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && groupadd --gid 10001 s3upload \
    && useradd --uid 10001 --gid 10001 --create-home --shell /usr/sbin/nologin s3upload \
    && install -d -o s3upload -g s3upload -m 0755 /var/log/s3_upload
COPY --from=build /opt/async-s3-upload /opt/async-s3-upload
USER 10001:10001
WORKDIR /home/s3upload
STOPSIGNAL SIGTERM
# Commands end by themselves; their exit code says how it went.
HEALTHCHECK NONE
ENTRYPOINT ["tini", "--", "async-s3-upload"]
CMD ["--help"]
