# Reads from a pipe that only the test process holds open. When it lets go, or is gone, however it
# went, the read ends: kill the server whose number is in the folder, remove the folder.
folder=$1
trap '' HUP INT TERM
while read -r _; do :; done
if read -r pid <"$folder/server.pid"; then
    # The number may have been given to another process; ours names the folder among its arguments.
    case $(tr '\0' ' ' <"/proc/$pid/cmdline") in *"$folder"*)
        kill -STOP "$pid"
        kill -KILL $(cat "/proc/$pid/task/$pid/children") "$pid"
        ;;
    esac
fi
# A PostgreSQL that was killed leaves a segment of System V's shared memory, named in the seventh line.
segment=$(sed -n '7s/.* //p' "$folder/data/postmaster.pid")
[ -z "$segment" ] || ipcrm --shmem-id "$segment"
# What was just killed may still be writing.
attempts=100
while [ -e "$folder" ] && [ "$attempts" -gt 0 ]; do
    rm -rf "$folder" || sleep 0.1
    attempts=$((attempts - 1))
done
