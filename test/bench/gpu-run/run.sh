#!/bin/sh
# Unpacks the benchmark that lies beside this script and runs it on this machine's GPU, for eight minutes at most:
#
#     sh run.sh [--json FILE] [--only PARTS] [--allow-software]
#
# It needs nothing but a plain Linux machine (x86-64) and the GPU's driver, and no network. Each line of FILE (gpu-run.jsonl)
# is written at once. It exits with 0 where all is right, 1 where something is wrong or failed, 3 where there is no GPU or the
# adapter is software, 124 where it was ended after eight minutes.
set -u
started=$(date +%s)
PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/sbin:/sbin"
export PATH
here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/tabserve-gpu-run.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

fail() {
  echo "$1" >&2
  exit 1
}

decompress() {
  if command -v xz >/dev/null 2>&1; then
    xz -dc "$here/gpu-run.tar.xz"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$here/gpu-run.tar.xz"
  elif command -v busybox >/dev/null 2>&1; then
    busybox xz -dc "$here/gpu-run.tar.xz"
  else
    echo "Unpacking takes xz, python3 or busybox, and none is here." >&2
  fi
}
decompress | tar -xf - -C "$work" || fail "gpu-run.tar.xz could not be unpacked."

libraries=${LD_LIBRARY_PATH:-}
use_libraries() { libraries="$1${libraries:+:$libraries}"; }
has_library() {
  ldconfig -p 2>/dev/null | grep -qF "$1 " && return
  for folder in /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /lib64 /usr/lib64 /usr/lib; do
    [ ! -e "$folder/$1" ] || return 0
  done
  return 1
}

# A packed library is used only where the machine has none of that name, or where its own is too old for Node.
"$work/node" -e 0 2>/dev/null || use_libraries "$work/lib/cxx"
LD_LIBRARY_PATH=$libraries "$work/node" -e 0 || fail "The packed Node does not start on this machine."
mkdir "$work/missing"
for file in "$work"/lib/drivers/*; do
  has_library "${file##*/}" || ln -s "$file" "$work/missing/"
done
use_libraries "$work/missing"

# Drivers of containers are often where the Vulkan loader does not look. Mesa's software driver is left out: the loader could
# choose it before a GPU's.
drivers=
add_drivers() {
  for manifest in "$1"/*.json; do
    case $manifest in
      *'*'*) continue ;;
      */lvp_icd*) [ -n "$software" ] || continue ;;
    esac
    drivers="${drivers:+$drivers:}$manifest"
  done
}
software=
for arg in "$@"; do
  [ "$arg" != --allow-software ] || software=1
done
if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then
  for folder in /etc /usr/share /usr/local/share /usr/local/etc; do add_drivers "$folder/vulkan/icd.d"; done
  for folder in $(find /usr/local /opt /run -maxdepth 5 -type d -path '*/vulkan/icd.d' 2>/dev/null); do
    case $folder in
      /usr/local/share/* | /usr/local/etc/*) continue ;;
    esac
    add_drivers "$folder"
    for name in lib64 lib; do
      [ ! -d "${folder%/share/vulkan/icd.d}/$name" ] || use_libraries "${folder%/share/vulkan/icd.d}/$name"
    done
  done
  # The second is the first one's name in older loaders.
  [ -z "$drivers" ] || export VK_DRIVER_FILES="$drivers" VK_ICD_FILENAMES="$drivers"
fi
echo "Vulkan drivers: ${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-only those that the loader finds}}"

# Compile times are those of a first load.
export __GL_SHADER_DISK_CACHE=0 MESA_SHADER_CACHE_DISABLE=true
export TABSERVE_WEBGPU="file://$work/webgpu/index.js" LD_LIBRARY_PATH="$libraries"
left=$((480 - $(date +%s) + started))
set -- "$work/node" "$work/bench.mjs" --started "$started" "$@"
if command -v timeout >/dev/null 2>&1; then set -- timeout -k 5 "$left" "$@"; fi
"$@"
exit $?
