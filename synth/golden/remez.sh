#!/bin/sh
# Writes remez.txt again; needs Sollya (8.0 wrote the one that is here).
set -eu
cd "$(dirname "$0")"
sollya --warnonstderr remez.sollya | cut -d " " -f 1-5 > remez.txt
