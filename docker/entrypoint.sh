#!/bin/sh
# Runs musictag as the user to whom the music belongs: PUID and PGID, as numbers.
set -eu

if [ "$(id -u)" != 0 ]; then # docker run --user
    exec musictag "$@"
fi

user=${PUID:-1000}
group=${PGID:-1000}
for number in "$user" "$group"; do
    case $number in
    *[!0-9]*)
        echo "PUID and PGID must be numbers, not '$number' (the commands id -u and id -g tell yours)" >&2
        exit 2
        ;;
    esac
done

# Journal, cache and settings, which an earlier start may have made for another user.
find "$HOME" ! -user "$user" -exec chown -h "$user:$group" {} +

exec setpriv --reuid "$user" --regid "$group" --clear-groups -- musictag "$@"
