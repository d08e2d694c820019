#!/usr/bin/env bash
# Builds the sandbox's guest, python.wasm.zst and python.img.zst, from sources, and compares it with the one here.
#
#     sandbox/build.sh [--update] [WORK_FOLDER]      about 8 minutes on 2 cores, 1 GB of disk
#
# WORK_FOLDER is target/sandbox unless said. Exit code 0: identical (or `--update` took the new one over).
# Needs a Debian system with apt, Python 3 with venv, npm, a C compiler, make and zstd; README.md says what
# each step is for. Two builds are the same to the byte, wherever they are made.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

update=false
if [ "${1:-}" = --update ]; then
    update=true
    shift
fi
work=${1:-$here/../target/sandbox}
mkdir -p "$work"
work=$(cd "$work" && pwd)

python=3.13.5
python_sum=93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640
ziglang=0.17.0
wizer=11.0.3
# The day of CPython 3.13.5, which it shows as its build date.
export SOURCE_DATE_EPOCH=1749600000
export TZ=UTC LC_ALL=C PYTHONHASHSEED=0
export ZIG_GLOBAL_CACHE_DIR=$work/zig-cache ZIG_LOCAL_CACHE_DIR=$work/zig-cache
source=../Python-$python
jobs=$(nproc)

say() { printf '\n== %s\n' "$*"; }

# Runs a command with its output in a log of that name, and shows the log's end if it fails.
logged() {
    local log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        echo "failed: $*; all of its output is in $log" >&2
        exit 1
    }
}

need() {
    local missing=()
    for command in "$@"; do
        command -v "$command" >/dev/null || missing+=("$command")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "sandbox/build.sh needs ${missing[*]} (on Debian: apt-get install build-essential python3-venv npm zstd)" >&2
        exit 1
    fi
}

# The address of the Debian mirror that this machine's apt uses.
debian_mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | sort | grep -m 1 -v security
}

# apt with a configuration of its own, so that the machine's is not touched.
private_apt() {
    apt-get -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/apt/sources" \
        -o Dir::State::Lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User= "$@"
}

fetch_python() {
    local tarball=python3.13_$python.orig.tar.xz
    if [ ! -f "$work/apt/$tarball" ]; then
        local mirror
        mirror=$(debian_mirror) || { echo "no Debian mirror in this machine's apt sources" >&2; exit 1; }
        mkdir -p "$work/apt/sources" "$work/apt/lists/partial" "$work/apt/cache/archives/partial"
        printf '%s\n' 'Types: deb-src' "URIs: $mirror" 'Suites: trixie' 'Components: main' \
            'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' >"$work/apt/sources/guest.sources"
        logged apt-update private_apt update
        (cd "$work/apt" && logged apt-source private_apt source --download-only python3.13)
    fi
    echo "$python_sum  $work/apt/$tarball" | sha256sum --check --quiet
    rm -rf "$work/Python-$python"
    tar -xf "$work/apt/$tarball" -C "$work"
    # CPython allows WASI 5,000 nested C calls, which overflow the host's 1 MiB of stack at some 1,300 (JSON
    # lists): a trap. With 600 it raises RecursionError, which an eval can catch.
    sed -i '/defined(__wasi__)/,/define/s/5000/600/' "$work/Python-$python/Include/cpython/pystate.h"
    grep -q 'Py_C_RECURSION_LIMIT 600$' "$work/Python-$python/Include/cpython/pystate.h"
}

fetch_zig() {
    [ -x "$work/venv/bin/pip" ] || python3 -m venv "$work/venv"
    logged pip "$work/venv/bin/pip" install "ziglang==$ziglang"
    local zig
    zig=$("$work/venv/bin/python" -c 'import pathlib, ziglang; print(pathlib.Path(ziglang.__file__).parent / "zig")')
    mkdir -p "$work/bin"
    for tool in ar ranlib; do
        printf '#!/bin/sh\nexec "%s" %s "$@"\n' "$zig" "$tool" >"$work/bin/$tool"
    done
    printf '#!/bin/sh\nexec "%s" cc -target wasm32-wasi "$@"\n' "$zig" >"$work/bin/cc"
    chmod +x "$work"/bin/*
}

fetch_wizer() {
    mkdir -p "$work/npm"
    logged npm npm install --prefix "$work/npm" --no-save "@bytecodealliance/wizer@$wizer"
}

# The same CPython for this machine: the cross build runs it, and freeze.py compiles with it.
build_native() {
    rm -rf "$work/native"
    mkdir "$work/native"
    cd "$work/native"
    logged native-configure "$source/configure" --without-ensurepip --disable-test-modules OPT='-O1 -DNDEBUG'
    logged native-make make -j "$jobs" python pybuilddir.txt
}

# No zlib, and none of what configure finds in the headers and WASI has not.
without=(ac_cv_func_mmap ac_cv_header_sys_mman_h ac_cv_header_zlib_h ac_cv_lib_z_gzread ac_cv_func_epoll_create ac_cv_func_epoll_create1
    ac_cv_func_memfd_create ac_cv_func_timerfd_create ac_cv_func_eventfd ac_cv_func_setgroups
    ac_cv_func_getgroups ac_cv_func_getgrgid_r ac_cv_func_getgrouplist ac_cv_func_initgroups
    ac_cv_header_libintl_h ac_cv_func_bind_textdomain_codeset)

build_guest_python() {
    rm -rf "$work/guest"
    mkdir -p "$work/guest/Modules"
    cd "$work/guest"
    # No sockets, which zig's wasi-libc has not enough of, and what no importable module needs.
    printf '*disabled*\n%s\n' '_asyncio _lsprof _multibytecodec _codecs_cn _codecs_hk _codecs_iso2022' \
        '_codecs_jp _codecs_kr _codecs_tw _queue _socket _zoneinfo select' >Modules/Setup.local
    local emulated='-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS'
    logged guest-configure env "${without[@]/%/=no}" "$source/configure" \
        CC="$work/bin/cc" AR="$work/bin/ar" RANLIB="$work/bin/ranlib" \
        CONFIG_SITE="$source/Tools/wasm/config.site-wasm32-wasi" OPT='-DNDEBUG -O3 -flto' PKG_CONFIG_LIBDIR=/nonexistent \
        CPPFLAGS="$emulated" CFLAGS=-Wno-date-time \
        LDFLAGS='-lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks' \
        --host=wasm32-wasi --build="$("$source/config.guess")" --with-build-python=../native/python \
        --without-ensurepip --disable-test-modules --disable-ipv6 --with-pymalloc --without-doc-strings
    logged guest-make make -j "$jobs" libpython3.13.a
}

# The C runner with CPython in it, as a reactor: it exports functions and has no main. seal.c comes
# first, so that its system calls are the ones linked and wasi-libc's never are.
link_runner() {
    cd "$work/guest"
    logged link "$work/bin/cc" -mexec-model=reactor -flto -O3 -DNDEBUG -s -Wl,-z,stack-size=1048576 \
        -Wno-date-time -Wno-c23-extensions -I. -I"$source/Include" -I"$here" "$here/seal.c" "$here/runner.c" \
        libpython3.13.a Modules/_decimal/libmpdec/libmpdec.a Modules/_hacl/libHacl_Hash_SHA2.a \
        Modules/expat/libexpat.a \
        -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks -o "$work/runner.wasm"
}

# Boots the interpreter in the runner, and keeps its memory: as a file of its own.
take_snapshot() {
    cd "$work"
    rm -rf code snapshot.wasm python.wasm python.img
    mkdir code
    logged freeze native/python -I -S "$here/freeze.py" "Python-$python/Lib" "$here" code
    logged wizer npm/node_modules/.bin/wizer --init-func initialize --allow-wasi --wasm-bulk-memory true \
        --mapdir /code::code -o snapshot.wasm runner.wasm
    native/python -I "$here/split.py" snapshot.wasm python.wasm python.img
}

compress() {
    cd "$work"
    for part in python.wasm python.img; do
        zstd --quiet --force -19 $part -o $part.zst
    done
    sha256sum python.wasm.zst python.img.zst python.wasm python.img >SHA256SUMS
}

sums_of_parts() { grep -E '  python\.(wasm|img)$' "$1/SHA256SUMS"; }

# The parts are compared, not the compressed files, which differ between versions of zstd.
compare() {
    local built recorded
    built=$(sums_of_parts "$work")
    recorded=$(sums_of_parts "$here" || true)
    if [ "$built" = "$recorded" ]; then
        (cd "$here" && sha256sum --check --quiet <(grep 'zst$' SHA256SUMS))
        echo "identical:"
    elif $update; then
        cp "$work"/python.{wasm,img}.zst "$work/SHA256SUMS" "$here/"
        echo "updated:"
    else
        printf 'different: built\n%s\nrecorded\n%s\n--update takes the new ones over\n' "$built" "$recorded" >&2
        exit 1
    fi
    echo "$built"
    # script/check-sandbox asks whether the recipe has changed since.
    (cd "$here" && sha256sum build.sh runner.c seal.c seal.h freeze.py prelude.py iofold.py split.py >RECIPE.sha256)
}

main() {
    need cc make npm python3 sha256sum tar zstd apt-get
    say "1 of 8: the source of CPython $python (23 MB)"
    fetch_python
    say "2 of 8: ziglang $ziglang (101 MB) and wizer $wizer, into $work"
    fetch_zig
    fetch_wizer
    say "3 of 8: CPython for this machine (about 2 minutes)"
    build_native
    say "4 of 8: CPython for wasm32-wasi (about 3 minutes)"
    build_guest_python
    say "5 of 8: linking the runner (about 2 minutes)"
    link_runner
    say "6 of 8: the snapshot"
    take_snapshot
    say "7 of 8: compressing both parts"
    compress
    say "8 of 8: comparing"
    compare
}

main
