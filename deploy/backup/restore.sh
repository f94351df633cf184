#!/bin/sh
# Restores a backup that back_up.sh made: restore.sh FOLDER/<time>, with every process stopped.
#
# Reads the settings of the server that is to be: as back_up.sh does. It takes the place of nothing:
# the data folder has to be without database and artifacts, the PostgreSQL database without tables.
set -eu
umask 077

backup=${1:?"name the backup"}
data=${ARCHFRONT_DATA_FOLDER:-${XDG_DATA_HOME:-$HOME/.local/share}/archfront}
database=${ARCHFRONT_DATABASE_URL:-"sqlite:///$data/archfront.db"}
artifacts=${ARCHFRONT_ARTIFACTS_URL:-"$data/artifacts"}
artifacts=${artifacts#file://}

refuse() {
    echo "$1" >&2
    exit 1
}

case $backup in *.partial) refuse "$backup was never finished; take another backup." ;; esac
if [ -d "$backup/artifacts" ]; then
    case $artifacts in *://*) refuse "$backup has artifacts for a folder, not for $artifacts." ;; esac
    [ ! -e "$artifacts" ] || refuse "$artifacts is there already; move it away first."
fi

# Files first: a server that finds the database finds what its rows name.
case $database in
sqlite:///*)
    file=${database#sqlite:///}
    [ -f "$backup/archfront.db" ] || refuse "$backup holds no SQLite database."
    for present in "$file" "$file-wal" "$file-shm"; do
        [ ! -e "$present" ] || refuse "$present is there already; move it away first."
    done
    ;;
postgresql://*)
    [ -f "$backup/archfront.dump" ] || refuse "$backup holds no dump of PostgreSQL."
    ;;
*)
    refuse "ARCHFRONT_DATABASE_URL is neither sqlite:///FILE nor postgresql://...: $database"
    ;;
esac

if [ -d "$backup/artifacts" ]; then
    mkdir -p "$(dirname "$artifacts")"
    cp -a "$backup/artifacts" "$artifacts"
fi
case $database in
sqlite:///*)
    mkdir -p "$(dirname "$file")"
    cp "$backup/archfront.db" "$file.restoring"
    sync
    mv "$file.restoring" "$file"
    ;;
postgresql://*)
    # All or nothing, and an error where a table is there already.
    pg_restore --no-owner --exit-on-error --single-transaction --dbname="$database" \
        "$backup/archfront.dump"
    ;;
esac
echo "Restored $backup. Check it with: archfront doctor"
