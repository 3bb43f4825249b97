#!/bin/sh
# Publish the JPEGs below a folder to Darkroom as one job, with kcat: docs/examples/publish.sh FOLDER COLLECTION
# For paths without quotes, backslashes, tabs and line breaks; docs/examples/publish.py takes all.
set -eu
kafka=${KAFKA_BROKERS:-127.0.0.1:9094}
darkroom=${DARKROOM_URL:-http://127.0.0.1:8002}
folder=$(cd "$1" && pwd -P)
job=example-$(date +%s)-$$

# kcat reads KEY, a tab, and the value from each line. Other than the clients of Java and Python it would partition
# by CRC-32: murmur2_random is what they do.
find "$folder" -name '*.jpg' | while read -r path; do
    printf '%s\t{"job_id": "%s", "collection": "%s", "path": "%s", "roots": ["%s"]}\n' \
        "$path" "$job" "$2" "$path" "$folder"
done | kcat -P -b "$kafka" -t raw-path -K "$(printf '\t')" -H "job_id=$job" -X partitioner=murmur2_random

# Only now: the end marker must come behind the files.
curl -fsS -X POST -H "Authorization: Bearer ${DARKROOM_API_KEY:-}" "$darkroom/api/v1/ingest/$job/close" >/dev/null
echo "$job"
