# The studio in a container: docker build -t lokitalk .
#   docker run -p 127.0.0.1:8321:8321 -v "$PWD/people:/people" lokitalk
# It prints an address with a token. For a GPU build with
#   --build-arg EXTRAS=studio,whisper,cuda
# and run with --gpus=all.
FROM python:3.11-slim
ARG EXTRAS=studio,whisper
COPY . /src
# mediapipe brings a build of cv2 that needs libGL; the headless one takes its place.
RUN pip install --no-cache-dir "/src[${EXTRAS}]" \
 && pip install --no-cache-dir --force-reinstall --no-deps \
    opencv-python-headless==5.0.0.93 \
 && rm -rf /src \
 && useradd --create-home lokitalk \
 && mkdir /people && chown lokitalk /people
USER lokitalk
# A GPU is shared by the studio and the training that it starts.
ENV XLA_PYTHON_CLIENT_PREALLOCATE=false
VOLUME /people
EXPOSE 8321
CMD ["lokitalk", "studio", "--root=/people", "--host=0.0.0.0", "--no-browser"]
