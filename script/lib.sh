# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# What setup, boot and test share. Sourced, never run.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$root" || exit 3
# shellcheck disable=SC2034 # for those who source this
venv=$root/.venv
# Servers and administrators' tools are in sbin, which Debian leaves out of an ordinary user's PATH.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }

# die WHAT [REMEDY...]
die() {
    printf '\nerror: %s\n' "$1" >&2
    shift
    if (($#)); then printf '  -> %s\n' "$@" >&2; fi
    exit 3
}

# Runs a command as root: as it is when we are root, else through sudo, which asks for the password if it must.
# What a run needs of the environment is handed on; the names of further variables (a board's password) in PIBOOT_ENV.
as_root() {
    if ((EUID == 0)); then
        "$@"
        return
    fi
    command -v sudo >/dev/null || die "this step needs root, and sudo is not installed" "run as root: $0"
    local name keep=("PATH=$PATH")
    for name in CI NO_COLOR TERM PIBOOT_CACHE XDG_CACHE_HOME http_proxy https_proxy no_proxy PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED; do
        if [[ -v $name ]]; then keep+=("$name=${!name}"); fi
    done
    # Secrets by name only: the words of a command line are everyone's to read.
    sudo ${PIBOOT_ENV:+"--preserve-env=$PIBOOT_ENV"} -- env "${keep[@]}" "$@"
}

# Owner of the working copy: root must not leave files in it that its owner cannot change.
owner() { stat -c %u -- "$root"; }

# Runs a command as the owner of the working copy (`sudo script/setup` must not make a venv of root's).
as_owner() {
    if ((EUID == 0)) && (($(owner) != 0)); then
        setpriv --reuid="$(owner)" --regid="$(stat -c %g -- "$root")" --init-groups --inh-caps=-all \
            env HOME="$(getent passwd "$(owner)" | cut -d: -f6)" "$@"
    else
        "$@"
    fi
}

# Whether commands can be run as root without a terminal to ask on.
can_be_root() {
    ((EUID == 0)) || { command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; }
}

# What root wrote below reports/ belongs to the owner of the working copy.
give_back_reports() {
    if (($(owner) != 0)) && [[ -d reports ]]; then
        as_root chown -R --no-dereference "$(owner):$(stat -c %g -- "$root")" reports
    fi
}
