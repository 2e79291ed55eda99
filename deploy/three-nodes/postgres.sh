#!/bin/sh
# One of two PostgreSQL servers, of which one is primary and the other its synchronous standby. What it is, it finds out:
#
#   its volume holds a server       it goes on as what it was; a primary only if the other one is not primary by now
#   empty, the other is primary     it becomes that one's standby
#   empty, FIRST=yes                it becomes the primary of a new, empty engine
#   empty, else                     it waits for a primary
#
# A primary confirms nothing that a standby has not: with no standby at all, writing waits. That is the safe side; to go on
# alone (docs/deploy.md says when):  ALTER SYSTEM SET synchronous_standby_names = ''; SELECT pg_reload_conf()
# Nobody is promoted here: that is an operator's, or an orchestrator's, decision.
#
#   PGDATA, PGPORT                  as PostgreSQL's own programs know them
#   PEER, PEER_PORT                 the other server
#   PASSWORD_FILE                   of the one user, consentry
set -eu
password=$(cat "$PASSWORD_FILE")
there="host=$PEER port=${PEER_PORT:-5432} user=consentry password=$password connect_timeout=3"

peer_is_primary() {
    [ "$(psql -XAtq -d "$there dbname=postgres" -c 'SELECT NOT pg_is_in_recovery()' 2>/dev/null)" = t ]
}

say() {
    echo "postgres.sh: $1" >&2
}

if [ -s "$PGDATA/PG_VERSION" ]; then
    if [ ! -e "$PGDATA/standby.signal" ] && peer_is_primary; then
        say "$PEER is primary by now. Empty this volume: then it becomes that one's standby."
        exit 1
    fi
elif [ "${FIRST:-no}" = yes ] && ! peer_is_primary; then
    say "a new, empty engine"
    initdb -D "$PGDATA" -U consentry --pwfile="$PASSWORD_FILE" -A scram-sha-256 -E UTF8 --locale=C >&2
    # While it need not wait for a standby yet.
    echo 'CREATE DATABASE consent' | postgres --single -D "$PGDATA" postgres >&2
    cat >>"$PGDATA/pg_hba.conf" <<HBA
host all         consentry all scram-sha-256
host replication consentry all scram-sha-256
HBA
    cat >>"$PGDATA/postgresql.conf" <<CONF
listen_addresses = '*'
unix_socket_directories = ''
wal_keep_size = '1GB'
synchronous_commit = on
synchronous_standby_names = '*'
CONF
else
    until peer_is_primary; do
        say "waits for $PEER to be primary"
        sleep 2
    done
    say "becomes the standby of $PEER"
    # A copy that was broken off is no server.
    mkdir -p "$PGDATA"
    find "$PGDATA" -mindepth 1 -delete
    pg_basebackup -d "$there application_name=$(hostname)" -D "$PGDATA" -R -X stream -c fast >&2
    chmod 700 "$PGDATA"
fi
exec postgres -D "$PGDATA"
