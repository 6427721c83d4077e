#!/bin/sh
# Makes certificates for a Dask cluster: certificates.sh FOLDER [DAYS]
# FOLDER/ca.pem is the authority, FOLDER/dask.pem one certificate with its key for scheduler, workers and command.
# Whoever can read dask.pem can use the cluster: the folder is the user's alone. The authority's key is not kept.
set -eu
folder=$1
days=${2:-365}
umask 077
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl req -x509 -newkey rsa:3072 -nodes -sha256 -days "$days" -subj "/CN=dask authority" \
    -keyout "$work/ca-key.pem" -out "$folder/ca.pem" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
openssl req -newkey rsa:3072 -nodes -sha256 -subj "/CN=dask" -keyout "$work/key.pem" -out "$work/request.pem" 2> /dev/null
openssl x509 -req -sha256 -days "$days" -in "$work/request.pem" -CA "$folder/ca.pem" -CAkey "$work/ca-key.pem" \
    -CAcreateserial -CAserial "$work/serial" -out "$work/dask.pem" 2> /dev/null
cat "$work/dask.pem" "$work/key.pem" > "$folder/dask.pem"
