#!/bin/sh
# Sourced by dracut, which without it refuses a command line without root=.
# shellcheck disable=SC2034
root=rootcast rootok=1
