# syntax=docker/dockerfile:1
# musictag for the CPU. docs/nas.md describes how to use it.

FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv --without-pip /opt/musictag
# PyTorch's own index has the build without CUDA, which is some GB smaller.
RUN pip --python /opt/musictag/bin/python install "torch>=2.5,<2.14" \
        --index-url https://download.pytorch.org/whl/cpu \
    && rm -rf /opt/musictag/lib/python3*/site-packages/torch/include \
    && find /opt/musictag -name "*.a" -delete
WORKDIR /source
COPY . .
# hadolint ignore=DL3013  # our own source has no version to pin
RUN pip --python /opt/musictag/bin/python install ".[watch]"

FROM python:3.13-slim-bookworm
COPY --from=build /opt/musictag /opt/musictag
COPY --chmod=755 docker/entrypoint.sh /usr/local/bin/musictag-entrypoint
ENV PATH=/opt/musictag/bin:$PATH \
    HOME=/state \
    XDG_CACHE_HOME=/state/cache \
    XDG_CONFIG_HOME=/state/config \
    XDG_DATA_HOME=/state/data \
    XDG_STATE_HOME=/state/state
VOLUME /state
ENTRYPOINT ["musictag-entrypoint"]
CMD ["watch", "/music"]
