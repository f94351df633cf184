#!/bin/sh
# Backs up a running server: back_up.sh FOLDER makes FOLDER/<time, UTC>/.
#
# Reads the server's own settings: ARCHFRONT_DATABASE_URL, ARCHFRONT_ARTIFACTS_URL and
# ARCHFRONT_DATA_FOLDER. PYTHON is the interpreter that archfront is installed in. PostgreSQL
# needs pg_dump of the server's release or newer; its password is read as libpq does.
#
# The database goes first. An artifact is stored before a row names it, and never changes or goes
# again: whatever the copied rows name is there when the files are copied afterwards. The other
# way round, a result that comes in between would be a row without its file.
set -eu
umask 077

target=${1:?"name the folder that keeps the backups"}
data=${ARCHFRONT_DATA_FOLDER:-${XDG_DATA_HOME:-$HOME/.local/share}/archfront}
database=${ARCHFRONT_DATABASE_URL:-"sqlite:///$data/archfront.db"}
artifacts=${ARCHFRONT_ARTIFACTS_URL:-"$data/artifacts"}
python=${PYTHON:-/opt/archfront/bin/python}

backup=$target/$(date -u +%Y-%m-%dT%H%M%SZ)
partial=$backup.partial
mkdir -p "$target"
mkdir "$partial"

case $database in
sqlite:///*)
    # One state of the database, while others write on; a copy of the file alone would lack its log.
    "$python" -c '
import pathlib, sqlite3, sys

source = pathlib.Path(sys.argv[1]).resolve(strict=True)
sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True).execute("VACUUM INTO ?", sys.argv[2:])
' "${database#sqlite:///}" "$partial/archfront.db"
    ;;
postgresql://*)
    pg_dump --format=custom --no-owner --file="$partial/archfront.dump" --dbname="$database"
    ;;
*)
    echo "ARCHFRONT_DATABASE_URL is neither sqlite:///FILE nor postgresql://...: $database" >&2
    exit 1
    ;;
esac

artifacts=${artifacts#file://}
case $artifacts in
*://*)
    echo "The artifacts are at $artifacts: copy or replicate them there, after this." >&2
    ;;
*)
    # What is being received has no row yet.
    "$python" -c '
import pathlib, shutil, sys

source, copy = map(pathlib.Path, sys.argv[1:])
if source.is_dir():
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("incoming"))
else:
    copy.mkdir()
' "$artifacts" "$partial/artifacts"
    ;;
esac

# On the disk, then under its name: a folder without `.partial` is a whole backup.
sync
mv "$partial" "$backup"
echo "$backup"
